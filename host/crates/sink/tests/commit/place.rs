//! A warehouse in a temporary folder, and epochs to commit there.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Table, Writer};
use audit_core::{
    Change, DeadLetter, Epoch, Offsets, Outbox, ReasonClass, Span, Staged, TopicPartition, schema,
};
use audit_sink::{
    AuditTable, CatalogSettings, EpochWriter, Payloads, Store, TableName, TableSettings, Vault,
    WriterSettings, summarize,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Place {
    pub(crate) runtime: Runtime,
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { runtime: Runtime::new().unwrap(), dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn catalog(&self) -> CatalogSettings {
        CatalogSettings {
            // Spaces and dots, as folders of users have them.
            uri: format!("sqlite:{}", self.dir.path().join("my catalog.db").display()),
            warehouse: self.dir.path().join("ware house").display().to_string(),
            name: "audit_host".to_owned(),
        }
    }

    pub(crate) fn store(&self) -> Store {
        self.runtime.block_on(Store::open(&self.catalog())).unwrap()
    }

    /// The newest metadata file of the audit table, read from the disk.
    pub(crate) fn metadata(&self) -> serde_json::Value {
        let name = TableName::parse("ns.t").unwrap();
        let column = schema::ACTION_TYPE;
        let summary = self.runtime.block_on(summarize(&self.store(), &name, column)).unwrap();
        let path = summary.metadata_location.strip_prefix("file://").unwrap();
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub(crate) fn table(&self) -> AuditTable {
        self.table_with(None)
    }

    pub(crate) fn table_with(&self, vault: Option<Arc<Vault>>) -> AuditTable {
        let settings = TableSettings {
            name: TableName::parse("ns.t").unwrap(),
            group: "g".to_owned(),
            topics: vec!["events".to_owned()],
            instance: "test".to_owned(),
            lane_lease: Duration::from_secs(2),
            added_columns: Vec::new(),
            vault,
            host_version: "test".to_owned(),
        };
        self.runtime.block_on(AuditTable::open(self.store(), settings)).unwrap()
    }

    pub(crate) fn writer(&self, table: &AuditTable) -> EpochWriter {
        let settings = WriterSettings {
            payloads: Payloads::DigestOnly,
            payload_bytes_max: 1 << 20,
            open_partitions_max: 4,
            open_files_bytes_max: 64 << 20,
        };
        let _on_runtime = self.runtime.enter();
        table.writer(settings).unwrap()
    }

    /// An epoch without a record.
    pub(crate) fn epoch_without_records(&self, table: &AuditTable, changes: Vec<Change>) -> Epoch {
        let mut writer = self.writer(table);
        writer.write_changes(&changes).unwrap();
        Epoch {
            staged: writer.seal().unwrap(),
            covered: Offsets::default(),
            alerts: Vec::new(),
            plugins: Vec::new(),
            lookups: BTreeMap::new(),
            changes,
            states: Vec::new(),
        }
    }

    /// An epoch of partition 0 that covers `start..start + actions`, one row per action.
    pub(crate) fn epoch(
        &self,
        table: &AuditTable,
        start: i64,
        actions: &[&str],
        n_bad: usize,
    ) -> Epoch {
        let mut writer = self.writer(table);
        writer.write(&Arc::from("events"), rows(start, actions)).unwrap();
        let letters = (0..n_bad).map(|n| dead_letter(start + n as i64)).collect();
        writer.write_dead_letters(letters).unwrap();
        let mut covered = Offsets::default();
        let records = (actions.len() + n_bad) as u64;
        let next = start + records as i64;
        covered.cover(partition(), Span { start, next, records, leader_epoch: None }).unwrap();
        Self::epoch_of(writer.seal().unwrap(), covered)
    }

    pub(crate) fn epoch_of(staged: Staged, covered: Offsets) -> Epoch {
        Epoch {
            staged,
            covered,
            alerts: Vec::new(),
            plugins: Vec::new(),
            lookups: BTreeMap::new(),
            changes: Vec::new(),
            states: Vec::new(),
        }
    }

    pub(crate) fn commit(
        &self,
        table: &mut AuditTable,
        epoch: &Epoch,
    ) -> Result<Outbox, audit_core::Error> {
        self.runtime.block_on(async {
            let outbox = table.stage(epoch).await?;
            table.commit(epoch, &outbox).await?;
            Ok(outbox)
        })
    }

    pub(crate) fn count(&self, name: &str, column: &str) -> HashMap<String, u64> {
        let name = TableName::parse(name).unwrap();
        let summary = self.runtime.block_on(summarize(&self.store(), &name, column)).unwrap();
        summary.by_value.into_iter().collect()
    }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new(&Arc::from("events"), 0)
}

pub(crate) fn rows(start: i64, actions: &[&str]) -> RecordBatch {
    let n = actions.len();
    let decoded = schema::decoded();
    let columns = decoded.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            schema::EVENT_TIMESTAMP | schema::SOURCE_TIMESTAMP => {
                Arc::new(TimestampMicrosecondArray::from_value(0, n).with_timezone(schema::UTC))
            }
            schema::SOURCE_PARTITION => Arc::new(Int32Array::from_value(0, n)),
            schema::SOURCE_OFFSET => {
                Arc::new(Int64Array::from_iter_values(start..start + n as i64))
            }
            schema::ACTION_TYPE => Arc::new(StringArray::from(actions.to_vec())),
            _ => Arc::new(StringArray::from(vec![Some("x"); n])),
        }
    });
    RecordBatch::try_new(Arc::clone(&decoded), columns.collect()).unwrap()
}

pub(crate) fn dead_letter(offset: i64) -> DeadLetter {
    DeadLetter {
        topic: Arc::from("events"),
        partition: 0,
        offset,
        timestamp_ms: None,
        class: ReasonClass::InvalidJson,
        reason: "byte 0".to_owned(),
        plugin: None,
        payload: b"SECRET".to_vec(),
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
