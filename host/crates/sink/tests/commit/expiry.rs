//! A table that is kept small while it is written: nothing that it answered is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use audit_core::stage::Table;
use audit_core::{ChangeKind, PluginChange, PluginId};
use audit_sink::{TableName, UpkeepSettings, chain, history, plan_expire, run_expire, run_garbage};

use crate::place::{Place, partition};

fn id(sha256: &str) -> PluginId {
    PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: sha256.to_owned(),
        config_sha256: "c".to_owned(),
    }
}

fn replaced() -> PluginChange {
    PluginChange {
        kind: ChangeKind::Replaced,
        plugin: "p".to_owned(),
        source: "/plugins/p.wasm".to_owned(),
        at: 1_767_225_600_000_000,
        before: Some(id("a")),
        after: Some(id("b")),
        from: BTreeMap::from([(partition(), 0)]),
        reason: "the file changed".to_owned(),
    }
}

#[test]
fn a_change_has_its_commit_after_the_snapshot_is_gone() {
    let place = Place::new();
    let name = TableName::parse("ns.t").unwrap();
    let keep = UpkeepSettings {
        garbage_after: Duration::ZERO,
        data_garbage_after: Duration::ZERO,
        snapshots_min: 5,
        hourly_for: Duration::ZERO,
    };
    let mut table = place.table().with_upkeep(keep);
    let mut epoch = place.epoch_without_records(&table, vec![replaced().into()]);
    epoch.plugins = vec![id("a")];
    place.commit(&mut table, &epoch).unwrap();
    let past = || {
        let store = place.store();
        let read = async {
            let history = history(&store, &name, Some("p")).await.unwrap();
            (history, chain(&store, &name, "g").await.unwrap())
        };
        place.runtime.block_on(read)
    };
    let before = past();
    assert!(before.0[0].commit.is_some(), "{before:?}");
    for n in 0..12 {
        let mut epoch = place.epoch(&table, n * 3, &["a", "b"], 1);
        epoch.plugins = vec![id("b")];
        let outbox = place.commit(&mut table, &epoch).unwrap();
        place.runtime.block_on(table.append_dead_letters(&outbox)).unwrap();
        table.finish(outbox);
        place.runtime.block_on(table.maintain()).unwrap();
    }
    let store = place.store();
    place.runtime.block_on(async {
        for name in [name.clone(), name.dead_letters()] {
            run_expire(&store, &name, &keep).await.unwrap();
            for _ in 0..3 {
                run_garbage(&store, &name, &keep).await.unwrap();
            }
            assert_eq!(plan_expire(&store, &name, &keep).await.unwrap().n_kept, 5);
        }
    });
    assert_eq!(past(), before);
    assert_eq!(place.table().offsets()[&partition()], 36);
    // The host that still runs goes on from the table as it is now.
    let epoch = place.epoch(&table, 36, &["a"], 0);
    place.commit(&mut table, &epoch).unwrap();
    assert_eq!(place.count("ns.t", audit_core::schema::SOURCE_TOPIC)["events"], 25);
}
