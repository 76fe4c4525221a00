//! The commit protocol on a real catalog (SQLite) and real files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod place;

mod budget;
mod changes;
mod expiry;
mod lanes;

use std::collections::HashMap;
use std::sync::Arc;

use audit_core::stage::Table;
use audit_core::{Kind, PluginId, PluginState, schema};
use audit_sink::{AuditTable, Vault};

use crate::place::{Place, files_below, partition};

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
    assert!(text.contains("group g of ns.t: another instance has taken over"), "{text}");
    assert_eq!(place.count("ns.t", schema::ACTION_TYPE), HashMap::from([("a".to_owned(), 1)]));
}

#[test]
fn where_reading_starts_is_written_down_before_the_first_record() {
    let place = Place::new();
    let mut ours = place.table();
    let at = |offset| HashMap::from([(partition(), offset)]);
    let ids = HashMap::from([("events".to_owned(), "id-1".to_owned())]);
    place.runtime.block_on(ours.claim(&at(70), &ids, &[])).unwrap();
    place.runtime.block_on(ours.close()).unwrap();
    let mut again = place.table();
    assert_eq!((again.offsets(), again.topic_ids()), (&at(70), ids.clone()));
    place.runtime.block_on(again.claim(&at(90), &ids, &[])).unwrap();
    assert_eq!(*again.offsets(), at(70), "who comes second reads from where the first starts");
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
    drop(table); // A crash after the commit, before the outbox is emptied.

    let mut table = place.table();
    let outboxes = place.runtime.block_on(table.unfinished()).unwrap();
    assert_eq!(outboxes.len(), 1);
    let objects = || files_below(&place.dir.path().join("ware house/.audit-host/outbox"));
    assert_eq!(objects().len(), 1, "the outbox: {:?}", objects());
    for _ in 0..2 {
        place.runtime.block_on(table.append_dead_letters(&outboxes[0])).unwrap();
    }
    let expect = HashMap::from([("invalid-json".to_owned(), 3)]);
    assert_eq!(place.count("ns.t_dead_letters", "reason_class"), expect);

    table.finish(outboxes[0].clone());
    place.runtime.block_on(table.forget_finished()).unwrap();
    let mut table = place.table();
    assert!(place.runtime.block_on(table.unfinished()).unwrap().is_empty());
    assert_eq!(objects().len(), 1, "objects are kept for readers, and removed by age");
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
    let plain = b"203.0.113.9".as_slice();
    let state = PluginState { plugin, partition: None, state_version: 1, bytes: plain.to_vec() };

    let mut table = place.table_with(vault());
    let mut epoch = place.epoch(&table, 0, &["a"], 0);
    epoch.states = vec![state.clone()];
    place.commit(&mut table, &epoch).unwrap();

    let states = |table: &AuditTable| place.runtime.block_on(table.states());
    assert_eq!(states(&place.table_with(vault())).unwrap(), [state]);
    assert!(states(&place.table()).unwrap_err().to_string().contains("key-file"));
    // What is sealed is JSON that holds the bytes as hex digits.
    let hex = hex::encode(plain);
    let paths = files_below(&place.dir.path().join("ware house"));
    let is_state =
        |path: &std::path::PathBuf| path.parent().unwrap().ends_with(".audit-host/state");
    assert_eq!(paths.iter().filter(|path| is_state(path)).count(), 1, "{paths:?}");
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        for text in [plain, hex.as_bytes(), b"state_version"] {
            let leaks = bytes.windows(text.len()).any(|window| window == text);
            assert!(!leaks, "{} holds the state in the clear", path.display());
        }
    }
}
