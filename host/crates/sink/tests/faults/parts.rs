//! A catalog and a store that fail as the plan says.

use std::sync::Arc;

use async_trait::async_trait;
use audit_sink::{Pointer, PointerError};
use bytes::Bytes;
use futures::stream::BoxStream;
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, LocalFsStorage, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result, TableIdent};
use serde::{Deserialize, Serialize};

use crate::plan::{Fault, Op, Plan};

#[derive(Debug)]
pub(crate) struct FaultyPointer {
    inner: Arc<dyn Pointer>,
    plan: Plan,
}

impl FaultyPointer {
    pub(crate) fn around(inner: Arc<dyn Pointer>, plan: &Plan) -> Arc<dyn Pointer> {
        Arc::new(Self { inner, plan: plan.clone() })
    }
}

fn unanswered(fault: Fault) -> PointerError {
    PointerError::Database(format!("injected: {fault:?}").into())
}

#[async_trait]
impl Pointer for FaultyPointer {
    async fn read(&self, table: &TableIdent) -> std::result::Result<Option<String>, PointerError> {
        match self.plan.draw(Op::Ask) {
            None => self.inner.read(table).await,
            Some(Fault::SilentWithout) => std::future::pending().await,
            Some(fault) => Err(unanswered(fault)),
        }
    }

    async fn replace(
        &self,
        table: &TableIdent,
        from: &str,
        to: &str,
    ) -> std::result::Result<bool, PointerError> {
        let Some(fault) = self.plan.draw(Op::Replace) else {
            return self.inner.replace(table, from, to).await;
        };
        if matches!(fault, Fault::LostAnswer | Fault::Half | Fault::SilentWith) {
            self.inner.replace(table, from, to).await?;
        }
        match fault {
            Fault::Refused | Fault::LostAnswer => Err(unanswered(fault)),
            Fault::Lie => Ok(true),
            Fault::Half => Ok(false),
            Fault::SilentWithout | Fault::SilentWith => std::future::pending().await,
        }
    }
}

/// What a run gets its files from. The plan is not part of what is serialized, which nothing here does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FaultyStorage {
    #[serde(skip)]
    plan: Plan,
    #[serde(skip)]
    inner: LocalFsStorage,
}

impl FaultyStorage {
    pub(crate) fn of(plan: &Plan) -> Arc<dyn StorageFactory> {
        Arc::new(Self { plan: plan.clone(), inner: LocalFsStorage })
    }
}

#[typetag::serde]
impl StorageFactory for FaultyStorage {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

fn injected<T>(fault: Fault) -> Result<T> {
    Err(Error::new(ErrorKind::Unexpected, format!("injected: {fault:?}")))
}

/// What was written is there as a whole, in half, or not at all.
fn part(fault: Fault, bytes: Bytes) -> Option<Bytes> {
    match fault {
        Fault::LostAnswer | Fault::SilentWith => Some(bytes),
        Fault::Half => Some(bytes.slice(..bytes.len() / 2)),
        Fault::Refused | Fault::Lie | Fault::SilentWithout => None,
    }
}

#[async_trait]
#[typetag::serde]
impl Storage for FaultyStorage {
    async fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path).await
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        self.inner.metadata(path).await
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        match self.plan.draw(Op::Read) {
            None => self.inner.read(path).await,
            Some(Fault::SilentWithout) => std::future::pending().await,
            Some(fault) => injected(fault),
        }
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        self.inner.reader(path).await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let Some(fault) = self.plan.draw(Op::Write) else {
            return self.inner.write(path, bytes).await;
        };
        if let Some(part) = part(fault, bytes) {
            self.inner.write(path, part).await?;
        }
        match fault {
            Fault::Lie => Ok(()),
            Fault::SilentWithout | Fault::SilentWith => std::future::pending().await,
            Fault::Refused | Fault::LostAnswer | Fault::Half => injected(fault),
        }
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let (inner, plan) = (self.inner.writer(path).await?, self.plan.clone());
        Ok(Box::new(FaultyWrite { inner, plan, is_torn: false }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self.plan.draw(Op::Delete) {
            None => self.inner.delete(path).await,
            Some(fault) => {
                if fault == Fault::LostAnswer {
                    self.inner.delete(path).await?;
                }
                injected(fault)
            }
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        self.inner.delete_prefix(path).await
    }

    async fn delete_stream(&self, paths: BoxStream<'static, String>) -> Result<()> {
        self.inner.delete_stream(paths).await
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct FaultyWrite {
    inner: Box<dyn FileWrite>,
    plan: Plan,
    is_torn: bool,
}

#[async_trait]
impl FileWrite for FaultyWrite {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let Some(fault) = self.plan.draw(Op::Stream) else { return self.inner.write(bytes).await };
        self.is_torn = true;
        if let Some(part) = part(fault, bytes) {
            self.inner.write(part).await?;
        }
        injected(fault)
    }

    async fn close(&mut self) -> Result<()> {
        self.inner.close().await?;
        if self.is_torn { injected(Fault::Half) } else { Ok(()) }
    }
}
