//! The commit protocol on a real catalog (SQLite) and real files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Table, Writer};
use audit_core::{
    DeadLetter, Epoch, Kind, Offsets, Outbox, PluginId, PluginState, ReasonClass, Span,
    TopicPartition, schema,
};
use audit_sink::{
    AuditTable, CatalogSettings, Payloads, Store, TableName, TableSettings, Vault, WriterSettings,
    summarize,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct Place {
    runtime: Runtime,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { runtime: Runtime::new().unwrap(), dir: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> Store {
        let settings = CatalogSettings {
            // Spaces and dots, as folders of users have them.
            uri: format!("sqlite:{}", self.dir.path().join("my catalog.db").display()),
            warehouse: self.dir.path().join("ware house").display().to_string(),
            name: "audit_host".to_owned(),
        };
        self.runtime.block_on(Store::open(&settings)).unwrap()
    }

    fn table(&self) -> AuditTable {
        self.table_with(None)
    }

    fn table_with(&self, vault: Option<Arc<Vault>>) -> AuditTable {
        let settings = TableSettings {
            name: TableName::parse("ns.t").unwrap(),
            group: "g".to_owned(),
            topics: vec!["events".to_owned()],
            added_columns: Vec::new(),
            vault,
            host_version: "test".to_owned(),
        };
        self.runtime.block_on(AuditTable::open(self.store(), settings)).unwrap()
    }

    /// An epoch of partition 0 that covers `start..start + actions`, one row an action.
    fn epoch(&self, table: &AuditTable, start: i64, actions: &[&str], n_bad: usize) -> Epoch {
        let settings = WriterSettings {
            payloads: Payloads::DigestOnly,
            payload_bytes_max: 1 << 20,
            open_partitions_max: 4,
        };
        let _on_runtime = self.runtime.enter();
        let mut writer = table.writer(settings).unwrap();
        writer.write(&Arc::from("events"), rows(start, actions)).unwrap();
        let letters = (0..n_bad).map(|n| dead_letter(start + n as i64)).collect();
        writer.write_dead_letters(letters).unwrap();
        let mut covered = Offsets::default();
        let records = (actions.len() + n_bad) as u64;
        let next = start + records as i64;
        covered.cover(partition(), Span { start, next, records }).unwrap();
        let staged = writer.seal().unwrap();
        Epoch {
            staged,
            covered,
            alerts: Vec::new(),
            plugins: Vec::new(),
            changes: Vec::new(),
            states: Vec::new(),
        }
    }

    fn commit(&self, table: &mut AuditTable, epoch: &Epoch) -> Result<Outbox, audit_core::Error> {
        self.runtime.block_on(async {
            let outbox = table.stage(epoch).await?;
            table.commit(epoch, &outbox).await?;
            Ok(outbox)
        })
    }

    fn count(&self, name: &str, column: &str) -> HashMap<String, u64> {
        let name = TableName::parse(name).unwrap();
        let summary = self.runtime.block_on(summarize(&self.store(), &name, column)).unwrap();
        summary.by_value.into_iter().collect()
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new(&Arc::from("events"), 0)
}

fn rows(start: i64, actions: &[&str]) -> RecordBatch {
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

fn dead_letter(offset: i64) -> DeadLetter {
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

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
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

#[test]
fn rows_and_offsets_become_visible_together_and_survive_a_restart() {
    let place = Place::new();
    let mut table = place.table();
    assert!(table.offsets().is_empty());
    let first = place.epoch(&table, 10, &["a", "b", "a"], 0);
    place.commit(&mut table, &first).unwrap();
    let second = place.epoch(&table, 13, &["b"], 0);
    place.commit(&mut table, &second).unwrap();

    assert_eq!(*place.table().offsets(), HashMap::from([(partition(), 14)]));
    let counts = place.count("ns.t", schema::ACTION_TYPE);
    assert_eq!(counts, HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 2)]));
}

#[test]
fn of_two_instances_that_read_the_same_records_one_is_fenced() {
    let place = Place::new();
    let (mut ours, mut theirs) = (place.table(), place.table());
    // Neither has committed before: the fence must hold without an offset in the table, too.
    let (first, same) = (place.epoch(&ours, 0, &["a"], 0), place.epoch(&theirs, 0, &["a"], 0));
    place.commit(&mut ours, &first).unwrap();
    let refused = place.commit(&mut theirs, &same).unwrap_err();
    assert_eq!(refused.kind(), Kind::Fenced);
    let text = std::error::Error::source(&refused).unwrap().to_string();
    assert!(text.contains("another instance of group g"), "{text}");
    assert_eq!(place.count("ns.t", schema::ACTION_TYPE), HashMap::from([("a".to_owned(), 1)]));
}

#[test]
fn where_reading_starts_is_written_down_before_the_first_record() {
    let place = Place::new();
    let (mut ours, mut theirs) = (place.table(), place.table());
    let at = |offset| HashMap::from([(partition(), offset)]);
    let ids = HashMap::from([("events".to_owned(), "id-1".to_owned())]);
    place.runtime.block_on(ours.claim(&at(70), &ids)).unwrap();
    place.runtime.block_on(theirs.claim(&at(90), &ids)).unwrap();
    assert_eq!(*theirs.offsets(), at(70), "who comes second reads from where the first starts");
    let again = place.table();
    assert_eq!((again.offsets(), again.topic_ids()), (&at(70), ids));
}

#[test]
fn committing_an_epoch_twice_changes_nothing() {
    let place = Place::new();
    let mut table = place.table();
    let epoch = place.epoch(&table, 0, &["a"], 0);
    place.commit(&mut table, &epoch).unwrap();
    place.commit(&mut table, &epoch).unwrap();
    assert_eq!(place.count("ns.t", schema::ACTION_TYPE), HashMap::from([("a".to_owned(), 1)]));
}

#[test]
fn dead_letters_of_a_crashed_epoch_are_appended_once_by_the_next_start() {
    let place = Place::new();
    let mut table = place.table();
    let epoch = place.epoch(&table, 0, &["a"], 3);
    place.commit(&mut table, &epoch).unwrap();
    assert!(place.count("ns.t_dead_letters", "reason_class").is_empty());
    drop(table); // A crash between the commit and the outbox.

    let mut table = place.table();
    let outboxes = place.runtime.block_on(table.unfinished()).unwrap();
    assert_eq!(outboxes.len(), 1);
    for _ in 0..2 {
        place.runtime.block_on(table.append_dead_letters(&outboxes[0])).unwrap();
    }
    let expect = HashMap::from([("invalid-json".to_owned(), 3)]);
    assert_eq!(place.count("ns.t_dead_letters", "reason_class"), expect);

    table.finish(outboxes[0].clone());
    place.runtime.block_on(table.forget_finished()).unwrap();
    let mut table = place.table();
    assert!(place.runtime.block_on(table.unfinished()).unwrap().is_empty());
    let kept = files_below(&place.dir.path().join("ware house/.audit-host"));
    assert!(kept.is_empty(), "objects left behind: {kept:?}");
}

#[test]
fn hostile_action_types_stay_in_the_table_and_beyond_the_limit_files_are_closed() {
    let place = Place::new();
    let mut table = place.table();
    let long = "x".repeat(300);
    let hostile = ["../../../escape", "/etc/x", "a%2Fb", "", "..", long.as_str(), "a\nb", "é"];
    let epoch = place.epoch(&table, 0, &hostile, 0);
    place.commit(&mut table, &epoch).unwrap();
    let counts = place.count("ns.t", schema::ACTION_TYPE);
    assert_eq!(counts.len(), hostile.len());
    let data = place.dir.path().join("ware house/ns/t/data");
    let parquet: Vec<_> = files_below(place.dir.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "parquet"))
        .collect();
    assert_eq!(parquet.len(), hostile.len());
    assert!(parquet.iter().all(|path| path.starts_with(&data)), "{parquet:?}");
}

#[test]
fn detector_state_is_sealed_and_comes_back() {
    let place = Place::new();
    let key_file = place.dir.path().join("key");
    std::fs::write(&key_file, "1f".repeat(32)).unwrap();
    let vault = || Some(Arc::new(Vault::open(&key_file).unwrap()));
    let plugin = PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: "aa".to_owned(),
        config_sha256: "bb".to_owned(),
    };
    let state =
        PluginState { plugin, partition: None, state_version: 1, bytes: b"203.0.113.9".to_vec() };

    let mut table = place.table_with(vault());
    let mut epoch = place.epoch(&table, 0, &["a"], 0);
    epoch.states = vec![state.clone()];
    place.commit(&mut table, &epoch).unwrap();

    let states = |table: &AuditTable| place.runtime.block_on(table.states());
    assert_eq!(states(&place.table_with(vault())).unwrap(), [state]);
    assert!(states(&place.table()).unwrap_err().to_string().contains("key-file"));
    for path in files_below(&place.dir.path().join("ware house")) {
        let bytes = std::fs::read(&path).unwrap();
        let leaks = bytes.windows(11).any(|window| window == b"203.0.113.9");
        assert!(!leaks, "{} holds the state in the clear", path.display());
    }
}
