//! The state: bounded, saved and restored.

use audit_detect::testing::{DAY, MINUTE, bytes_of};
use audit_plugin_sdk::Severity;

use crate::common::{CONFIG, Change, TRIAL, grant, received, revoke};
use crate::robust::traffic;

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in [(1, CONFIG), (2, r#"{"roles": "roles", "max-keys": 2}"#)] {
        let batches: Vec<Vec<Change>> = traffic(seed, 400).chunks(10).map(Vec::from).collect();
        TRIAL.restart_anywhere(config, &batches);
    }
}

#[test]
fn hostile_bytes_are_refused_and_change_nothing() {
    TRIAL.damaged_states(CONFIG, &[traffic(5, 200)], &[grant("clerk", DAY)]);
}

#[test]
fn the_actor_silent_for_longest_is_forgotten_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"roles": "roles", "max-keys": 2}"#);
    let rows = ["a", "b", "a", "c"]
        .into_iter()
        .zip(0..)
        .map(|(actor, minute)| grant(actor, minute * MINUTE));
    let found = TRIAL.judge(&mut detector, &rows.collect::<Vec<_>>());
    let evicted = found.last().unwrap();
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    let again = TRIAL.judge(&mut detector, &[grant("a", 5 * MINUTE), grant("b", MINUTE)]);
    assert_eq!(TRIAL.ids(&again), [("privilege-change", "b", 1)], "under the id that it had");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut detector = TRIAL.detector(r#"{"roles": "roles", "state-bytes-max": 1048576}"#);
    for round in 0..20 {
        let rows: Vec<Change> =
            (0..1_000).map(|index| grant(&format!("actor_{round}_{index}"), index)).collect();
        TRIAL.judge(&mut detector, &rows);
        assert!(detector.snapshot().len() < 1 << 20);
    }
    // One actor with everything that can be made up.
    let mut detector = TRIAL.detector(CONFIG);
    let rows: Vec<Change> =
        (0..20_000).map(|index| received("clerk", -index * 2 * MINUTE, index)).collect();
    for rows in rows.chunks(1_000) {
        TRIAL.judge(&mut detector, rows);
    }
    assert!(detector.snapshot().len() < 20_000, "{}", detector.snapshot().len());
}

/// Written by version 1: `b` and `clerk` were reported, `clerk` of the resource `r`; `a` was evicted.
const BEFORE: &str = "1070726976696c6567652d6368616e676501020162809cc09fc9b9b00601809cc09fc9b9b006000080a0bad235\
    01000201060201809cc09fc9b9b006009aefc1f5d5ffb5c1f7010105636c65726b809c9c390180b8dcd8c9b9b0\
    06000080a0bad2350100020106040180b8dcd8c9b9b00600e8b9fbd9caa68ffbd801010101d8c402";

#[test]
fn the_state_of_the_previous_version_is_restored() {
    let state = bytes_of(BEFORE);
    let mut detector = TRIAL.detector(CONFIG);
    detector.restore(1, &state).expect("a state of version 1");
    let rows = [grant("b", 3 * MINUTE), revoke("clerk", 4 * MINUTE).of("r")];
    let found = TRIAL.judge(&mut detector, &rows);
    assert_eq!(TRIAL.ids(&found), [("privilege-change-escalated", "clerk", 2)]);
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
