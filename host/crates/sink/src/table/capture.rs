//! A catalog that keeps what a transaction would commit, and commits nothing.
//!
//! iceberg's `Transaction` is the only way to write manifests and a snapshot, and hands its changes to
//! [`Catalog::update_table`] alone. Its own `commit` rebases them silently onto whatever table it finds: two
//! instances that read the same records would both succeed. So the changes are taken here, for exactly the table
//! that was inspected, and [`crate::table::swap`] commits them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::transaction::Transaction;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent, TableUpdate,
};

/// What the transaction would change in `base`. Writes its manifests.
pub(crate) async fn updates_of(base: &Table, transaction: Transaction) -> Result<Vec<TableUpdate>> {
    let capture = Capture { base: base.clone(), updates: Mutex::default() };
    transaction.commit(&capture).await?;
    let updates = capture.updates.into_inner();
    Ok(updates.unwrap_or_else(PoisonError::into_inner))
}

struct Capture {
    base: Table,
    updates: Mutex<Vec<TableUpdate>>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capture")
    }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::new(ErrorKind::FeatureUnsupported, "no transaction calls this"))
}

#[async_trait]
impl Catalog for Capture {
    async fn load_table(&self, _: &TableIdent) -> Result<Table> {
        Ok(self.base.clone())
    }

    async fn update_table(&self, mut commit: TableCommit) -> Result<Table> {
        // Its requirements are weaker than ours: the table must be the one that was inspected.
        let updates = commit.take_updates();
        *self.updates.lock().unwrap_or_else(PoisonError::into_inner) = updates;
        Ok(self.base.clone())
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        unsupported()
    }

    async fn create_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
    ) -> Result<Namespace> {
        unsupported()
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        unsupported()
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        unsupported()
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        unsupported()
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        unsupported()
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        unsupported()
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<Table> {
        unsupported()
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        unsupported()
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        unsupported()
    }

    async fn table_exists(&self, _: &TableIdent) -> Result<bool> {
        unsupported()
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        unsupported()
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        unsupported()
    }
}
