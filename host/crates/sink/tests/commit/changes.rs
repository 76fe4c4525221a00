//! Changes of plugins and lookups: rows of the table, properties, and how they are read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Table, Writer};
use audit_core::{
    Alert, Change, ChangeKind, Epoch, Kind, LookupChange, LookupChangeKind, PluginChange, PluginId,
    Severity, TopicPartition, schema,
};
use audit_sink::{AuditTable, ComponentStore, Store, TableName, chain, history};

use crate::place::{Place, partition, rows};

/// 2026-01-01 in microseconds.
const NEW_YEAR: i64 = 1_767_225_600_000_000;

fn id(sha256: &str) -> PluginId {
    PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: sha256.to_owned(),
        config_sha256: "c".to_owned(),
    }
}

/// The plugin `p` is replaced at an offset of partition 0.
fn replaced(before: &str, after: &str, from: i64) -> PluginChange {
    PluginChange {
        kind: ChangeKind::Replaced,
        plugin: "p".to_owned(),
        source: "/plugins/p.wasm".to_owned(),
        at: NEW_YEAR + from,
        before: Some(id(before)),
        after: Some(id(after)),
        from: BTreeMap::from([(partition(), from)]),
        reason: "the file changed".to_owned(),
    }
}

/// The lookup `roles` is reloaded at an offset of partition 0.
fn reloaded(from: i64) -> LookupChange {
    LookupChange {
        kind: LookupChangeKind::Replaced,
        lookup: "roles".to_owned(),
        source: "/lookups/roles.csv".to_owned(),
        at: NEW_YEAR + from,
        before: Some("aa".to_owned()),
        after: Some("bb".to_owned()),
        from: BTreeMap::from([(partition(), from)]),
        reason: "the file changed".to_owned(),
    }
}

fn alert() -> Alert {
    Alert {
        id: "id".to_owned(),
        rule: "r".to_owned(),
        severity: Severity::High,
        message: "m".to_owned(),
        key: BTreeMap::new(),
        window_start: 0,
        first_event: 0,
        last_event: 0,
        count: 1,
        events: Vec::new(),
        labels: BTreeMap::new(),
        plugin: id("a"),
    }
}

fn name() -> TableName {
    TableName::parse("ns.t").unwrap()
}

#[test]
fn a_change_is_a_row_without_a_place_in_kafka() {
    let place = Place::new();
    let mut table = place.table();
    let mut epoch = place.epoch_without_records(&table, Vec::new());
    let refused = PluginChange {
        kind: ChangeKind::Refused,
        reason: "no".to_owned(),
        ..replaced("b", "x", 11)
    };
    let changes: Vec<Change> =
        vec![replaced("a", "b", 10).into(), refused.into(), reloaded(12).into()];
    let mut writer = place.writer(&table);
    // Between rows of a topic, whose chunk must not take them in.
    writer.write(&Arc::from("events"), rows(0, &["a"])).unwrap();
    writer.write_changes(&changes).unwrap();
    writer.write(&Arc::from("events"), rows(1, &["config_update"])).unwrap();
    epoch.staged = writer.seal().unwrap();
    epoch.changes = changes;
    assert_eq!(epoch.staged.n_rows, 5);
    place.commit(&mut table, &epoch).unwrap();

    for (column, expect) in [
        (schema::ACTION_TYPE, vec![("a", 1), ("config_update", 4)]),
        ("resource_type", vec![("plugin", 2), ("lookup", 1), ("x", 2)]),
        ("resource_id", vec![("p", 2), ("roles", 1), ("x", 2)]),
        ("resource_name", vec![("/plugins/p.wasm", 2), ("/lookups/roles.csv", 1), ("x", 2)]),
        ("action_result", vec![("failure", 1), ("success", 2), ("x", 2)]),
        ("user_id", vec![("audit-host", 3), ("x", 2)]),
        ("user_email", vec![("(null)", 3), ("x", 2)]),
        (schema::SOURCE_TOPIC, vec![("(null)", 3), ("events", 2)]),
    ] {
        let expect = expect.into_iter().map(|(value, n)| (value.to_owned(), n)).collect();
        assert_eq!(place.count("ns.t", column), expect, "{column}");
    }
    let paths = crate::place::files_below(place.dir.path());
    let of_day = paths.iter().filter(|path| {
        path.display()
            .to_string()
            .contains("event_timestamp_day=2026-01-01/action_type=config_update")
    });
    assert_eq!(of_day.count(), 1, "{paths:?}");
}

#[test]
fn epochs_without_a_record_are_committed_once() {
    let place = Place::new();
    let mut table = place.table();
    let first = place.epoch(&table, 0, &["a"], 0);
    place.commit(&mut table, &first).unwrap();

    let only_changes = place.epoch_without_records(&table, vec![replaced("a", "b", 1).into()]);
    let mut only_alerts = place.epoch_without_records(&table, Vec::new());
    only_alerts.alerts.push(alert());
    assert!(only_alerts.staged.data_files.is_empty());
    for epoch in [&only_changes, &only_alerts] {
        for _ in 0..2 {
            place.commit(&mut table, epoch).unwrap();
        }
    }
    let again = place.epoch(&table, 1, &["a"], 0);
    place.commit(&mut table, &again).unwrap();
    assert_eq!(
        place.count("ns.t", schema::ACTION_TYPE),
        [("a".to_owned(), 2), ("config_update".to_owned(), 1)].into(),
    );
    // A crash here: the alert is found by the next start, once.
    let outboxes = place.runtime.block_on(place.table().unfinished()).unwrap();
    assert_eq!(outboxes.len(), 1);
    assert_eq!(outboxes[0].alerts, only_alerts.alerts);
}

#[test]
fn who_was_overtaken_has_no_say_in_the_chain() {
    let place = Place::new();
    let mut first = place.table();
    let epoch = place.epoch(&first, 0, &["a"], 0);
    place.commit(&mut first, &epoch).unwrap();
    let mut ours = place.table();
    let epoch = place.epoch(&first, 1, &["a"], 0);
    place.commit(&mut first, &epoch).unwrap();

    let late = place.epoch_without_records(&ours, vec![replaced("a", "b", 1).into()]);
    assert_eq!(place.commit(&mut ours, &late).unwrap_err().kind(), Kind::Fenced);
}

fn chain_of(place: &Place, group: &str) -> Option<Vec<PluginId>> {
    place.runtime.block_on(chain(&place.store(), &name(), group)).unwrap()
}

#[test]
fn the_table_remembers_the_chain_as_the_last_epoch_left_it() {
    let place = Place::new();
    let mut table = place.table();
    assert_eq!((table.plugins(), chain_of(&place, "g")), (None, None));

    let mut epoch = place.epoch(&table, 0, &["a"], 0);
    epoch.plugins = vec![id("a")];
    place.commit(&mut table, &epoch).unwrap();
    assert_eq!(table.plugins(), Some([id("a")].as_slice()));

    let mut epoch = place.epoch_without_records(&table, vec![replaced("a", "b", 1).into()]);
    epoch.plugins = vec![id("a")];
    place.commit(&mut table, &epoch).unwrap();
    assert_eq!(place.table().plugins(), Some([id("b")].as_slice()));
    assert_eq!(chain_of(&place, "g"), Some(vec![id("b")]));
    assert_eq!(chain_of(&place, "other"), None);
}

fn past(place: &Place, plugin: Option<&str>) -> Vec<audit_sink::PastChange> {
    place.runtime.block_on(history(&place.store(), &name(), plugin)).unwrap()
}

fn commit_change(place: &Place, table: &mut AuditTable, change: Change) -> Epoch {
    let epoch = place.epoch_without_records(table, vec![change]);
    place.commit(table, &epoch).unwrap();
    epoch
}

#[test]
fn the_history_holds_every_change_in_order_and_no_event_that_looks_like_one() {
    let place = Place::new();
    let mut table = place.table();
    assert!(past(&place, None).is_empty());
    let (first, second) = (replaced("a", "b", 1), replaced("b", "c", 2));
    let other = PluginChange { plugin: "q".to_owned(), ..replaced("a", "b", 3) };
    // Committed out of order: the change's own time decides.
    for change in [&second, &first, &other] {
        commit_change(&place, &mut table, change.clone().into());
    }
    commit_change(&place, &mut table, reloaded(1).into());
    forge(&place, &mut table, &replaced("c", "evil", 4).into());

    let changes = |plugin| past(&place, plugin).into_iter().map(|p| p.change).collect::<Vec<_>>();
    assert_eq!(changes(None), [first.clone(), second.clone(), other]);
    assert_eq!(changes(Some("p")), [first, second]);
    assert_eq!(changes(Some("nobody")), []);
    for past in past(&place, None) {
        let commit = past.commit.unwrap();
        assert!(past.written_at.unwrap() <= commit.at + 1_000, "{past:?}");
    }
}

/// An event from Kafka that is a change of plugins in everything that it can say.
fn forge(place: &Place, table: &mut AuditTable, change: &Change) {
    let event = rows(0, &["config_update"]);
    let details = serde_json::to_string(change).unwrap();
    let schema = event.schema();
    let columns = schema.fields().iter().zip(event.columns()).map(|(field, column)| {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        match field.name().as_str() {
            "user_id" => text("audit-host"),
            "resource_type" => text("plugin"),
            "resource_id" => text("p"),
            "details" => text(&details),
            _ => Arc::clone(column),
        }
    });
    let event = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
    let mut epoch = place.epoch(table, 0, &["a"], 0);
    let mut writer = place.writer(table);
    writer.write(&Arc::from("events"), event).unwrap();
    epoch.staged = writer.seal().unwrap();
    place.commit(table, &epoch).unwrap();
}

#[test]
fn a_snapshot_proves_which_plugins_judged_each_of_its_rows() {
    let place = Place::new();
    let mut table = place.table();
    let mut epoch = place.epoch(&table, 0, &["a", "a", "a"], 0);
    epoch.plugins = vec![id("a")];
    epoch.changes = vec![reloaded(1).into(), replaced("a", "b", 2).into()];
    place.commit(&mut table, &epoch).unwrap();
    let mut quiet = place.epoch(&table, 3, &["a"], 0);
    quiet.plugins = vec![id("b")];
    place.commit(&mut table, &quiet).unwrap();

    // The rule as a foreign reader applies it: from the metadata file alone.
    let metadata = place.metadata();
    let mut snapshots: Vec<_> = metadata["snapshots"].as_array().unwrap().iter().collect();
    snapshots.sort_by_key(|snapshot| snapshot["sequence-number"].as_i64());
    assert!(snapshots[1]["summary"].get("audit-host.plugin-changes").is_none());
    let of = |key: &str| snapshots[0]["summary"][key].as_str().unwrap();
    let plugins: Vec<PluginId> = serde_json::from_str(of("audit-host.plugins")).unwrap();
    // Tables hold this text: it must not change.
    let summary = concat!(
        r#"[{"after":{"config_sha256":"","name":"roles","sha256":"bb","version":""},"at":1767225600000001,"#,
        r#""before":{"config_sha256":"","name":"roles","sha256":"aa","version":""},"#,
        r#""from":{"events":{"0":1}},"kind":"lookup-replaced","plugin":"roles","#,
        r#""reason":"the file changed","source":"/lookups/roles.csv"},"#,
        r#"{"after":{"config_sha256":"c","name":"p","sha256":"b","version":"1"},"at":1767225600000002,"#,
        r#""before":{"config_sha256":"c","name":"p","sha256":"a","version":"1"},"#,
        r#""from":{"events":{"0":2}},"kind":"replaced","plugin":"p","#,
        r#""reason":"the file changed","source":"/plugins/p.wasm"}]"#,
    );
    assert_eq!(of("audit-host.plugin-changes"), summary);
    let changes: Vec<Change> = serde_json::from_str(summary).unwrap();
    for (offset, sha256) in [(0, "a"), (1, "a"), (2, "b")] {
        let judged = audit_sink::plugins_of_row(&plugins, &changes, &partition(), offset);
        assert_eq!(judged, [id(sha256)], "offset {offset}");
    }
    let elsewhere = TopicPartition::new(&Arc::from("events"), 9);
    assert_eq!(audit_sink::plugins_of_row(&plugins, &changes, &elsewhere, 0), [id("b")]);
}

#[test]
fn components_stand_beside_the_tables_and_need_none() {
    let place = Place::new();
    let (bytes, store) = (b"\0asm".as_slice(), place.store().components());
    let sha256 = ComponentStore::digest(bytes);
    place.runtime.block_on(store.put(&sha256, bytes)).unwrap();
    let path = format!("ware house/.audit-host/plugins/{sha256}.wasm");
    assert_eq!(std::fs::read(place.dir.path().join(path)).unwrap(), bytes);
    let absent = place.runtime.block_on(store.get(&"0".repeat(64))).unwrap_err();
    assert_eq!(absent.kind(), Kind::Config);
}

#[test]
fn reading_creates_nothing() {
    let place = Place::new();
    let settings = place.catalog();
    let absent = place.runtime.block_on(Store::open_existing(&settings)).unwrap_err();
    assert_eq!(absent.kind(), Kind::Config);
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 0);

    place.store();
    let store = place.runtime.block_on(Store::open_existing(&settings)).unwrap();
    let absent = place.runtime.block_on(chain(&store, &name(), "g")).unwrap_err();
    assert!(absent.to_string().contains("ns.t"), "{absent}");
    assert_eq!(absent.kind(), Kind::Config);
}
