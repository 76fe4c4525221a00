//! Who may commit: whatever another process has committed since, nothing of this one comes over it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use audit_core::stage::Table;
use audit_core::{Epoch, Kind, PluginId, PluginState};
use audit_sink::{AuditTable, Vault};

use crate::place::{Place, partition};

fn vault(place: &Place) -> Arc<Vault> {
    let key_file = place.dir.path().join("key");
    std::fs::write(&key_file, "1f".repeat(32)).unwrap();
    Arc::new(Vault::open(&key_file).unwrap())
}

fn with_state(mut epoch: Epoch, state: &str) -> Epoch {
    let plugin = PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: "aa".to_owned(),
        config_sha256: "bb".to_owned(),
    };
    let bytes = state.as_bytes().to_vec();
    epoch.states = vec![PluginState { plugin, partition: None, state_version: 1, bytes }];
    epoch
}

fn state_of(place: &Place, table: &AuditTable) -> String {
    let states = place.runtime.block_on(table.states()).unwrap();
    String::from_utf8(states[0].bytes.clone()).unwrap()
}

fn claim(place: &Place, table: &mut AuditTable) -> Result<(), audit_sink::Error> {
    place.runtime.block_on(table.claim(&HashMap::new(), &HashMap::new(), &[]))
}

/// The epoch of the paused instance moves no offset that the other one moved.
#[test]
fn old_state_never_comes_over_newer_state() {
    let place = Place::new();
    let mut paused = place.table_with(Some(vault(&place)));
    let early = with_state(place.epoch(&paused, 0, &["a"], 0), "old");
    place.commit(&mut paused, &early).unwrap();
    let late = with_state(place.epoch_without_records(&paused, Vec::new()), "old, later");

    let mut other = place.table_with(Some(vault(&place)));
    let newer = with_state(place.epoch(&other, 1, &["b"], 0), "new");
    place.commit(&mut other, &newer).unwrap();

    let refused = place.commit(&mut paused, &late).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::Fenced, "AH-0510"));
    assert_eq!(state_of(&place, &place.table_with(Some(vault(&place)))), "new");
}

#[test]
fn a_claim_that_comes_late_rewinds_nothing() {
    let place = Place::new();
    let mut late = place.table();
    let mut other = place.table();
    claim(&place, &mut other).unwrap();
    let epoch = place.epoch(&other, 0, &["a", "b"], 0);
    place.commit(&mut other, &epoch).unwrap();

    let starts = HashMap::from([(partition(), 0)]);
    let refused = place.runtime.block_on(late.claim(&starts, &HashMap::new(), &[])).unwrap_err();
    assert_eq!(refused.kind(), Kind::Fenced);
    let epoch = place.epoch(&other, 2, &["c"], 0);
    place.commit(&mut other, &epoch).unwrap();
    place.runtime.block_on(other.close()).unwrap();
    assert_eq!(*place.table().offsets(), HashMap::from([(partition(), 3)]));
}

#[test]
fn forgetting_is_fenced_as_well() {
    let place = Place::new();
    let mut paused = place.table();
    let epoch = place.epoch(&paused, 0, &["a"], 1);
    let outbox = place.commit(&mut paused, &epoch).unwrap();
    paused.finish(outbox);
    let mut other = place.table();
    claim(&place, &mut other).unwrap();
    let refused = place.runtime.block_on(paused.forget_finished()).unwrap_err();
    assert_eq!(refused.kind(), Kind::Fenced);
    assert_eq!(place.runtime.block_on(other.unfinished()).unwrap().len(), 1);
}

/// The process of the test is alive, so its claim is that of a living instance.
#[test]
fn a_start_waits_until_a_living_instance_has_been_silent_for_the_lease() {
    let place = Place::new();
    let mut first = place.table();
    claim(&place, &mut first).unwrap();
    let began = Instant::now();
    let mut second = place.table();
    assert!(began.elapsed().as_secs_f32() > 1.0, "it must wait for the lease of 2 s");
    claim(&place, &mut second).unwrap();
    place.runtime.block_on(second.close()).unwrap();
    let began = Instant::now();
    place.table();
    assert!(began.elapsed().as_secs_f32() < 1.0, "a lane that was released is free at once");
}

#[test]
fn sequences_never_restart() {
    let place = Place::new();
    let lane = || {
        let metadata = place.metadata();
        let lane = metadata["properties"]["audit-host.g..lane.all"].as_str().unwrap().to_owned();
        lane.rsplit_once(':').unwrap().1.parse::<u64>().unwrap()
    };
    let mut table = place.table();
    claim(&place, &mut table).unwrap();
    let epoch = place.epoch(&table, 0, &["a"], 0);
    place.commit(&mut table, &epoch).unwrap();
    place.runtime.block_on(table.close()).unwrap();
    assert_eq!(lane(), 3);
    let mut table = place.table();
    claim(&place, &mut table).unwrap();
    assert_eq!(lane(), 4);
}
