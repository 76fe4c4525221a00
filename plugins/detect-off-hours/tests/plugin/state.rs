//! The state: bounded, saved and restored.

use audit_detect::testing::{DAY, HOUR, MINUTE, bytes_of};
use audit_plugin_sdk::Severity;

use crate::common::{Access, TRIAL, export, read};
use crate::robust::traffic;

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in [(1, "{}"), (2, r#"{"max-keys": 2}"#), (3, r#"{"min-events": 2}"#)] {
        let batches: Vec<Vec<Access>> = traffic(seed, 400).chunks(10).map(Vec::from).collect();
        TRIAL.restart_anywhere(config, &batches);
    }
}

#[test]
fn hostile_bytes_are_refused_and_change_nothing() {
    TRIAL.damaged_states("{}", &[traffic(5, 200)], &[export("user_1", 40 * DAY)]);
}

#[test]
fn the_user_silent_for_longest_is_forgotten_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 2}"#);
    let night = |user: &str, minute: i64| read(user, 22 * HOUR + minute * MINUTE);
    let found =
        TRIAL.judge(&mut detector, &[night("a", 0), night("b", 1), night("a", 2), night("c", 3)]);
    let evicted = found.last().unwrap();
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    assert!(evicted.key.is_empty());
    // `b` went, as `a` came back later: its night is reported again, with the same id.
    let again = TRIAL.judge(&mut detector, &[night("a", 4), night("b", 5)]);
    assert_eq!(TRIAL.ids(&again), [("off-hours-access", "b", 17 * 60)]);
    // In the next hour the sum is said.
    let found = TRIAL.judge(&mut detector, &[read("d", DAY + 22 * HOUR)]);
    assert_eq!(found.iter().filter(|alert| alert.rule == "state-evicted").count(), 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut detector = TRIAL.detector(r#"{"state-bytes-max": 1048576, "min-events": 1000000}"#);
    for round in 0..40 {
        let rows: Vec<Access> = (0..1_000)
            .map(|index| read(&format!("user_{round}_{index}"), 22 * HOUR + index * MINUTE / 100))
            .collect();
        TRIAL.judge(&mut detector, &rows);
        assert!(detector.snapshot().len() < 1 << 20);
    }
    // One user with many events in one night takes no more than one with a few.
    let mut detector = TRIAL.detector("{}");
    let rows: Vec<Access> = (0..20_000).map(|index| read("a", 22 * HOUR + index)).collect();
    TRIAL.judge(&mut detector, &rows);
    assert!(detector.snapshot().len() < 400, "{}", detector.snapshot().len());
}

#[test]
fn a_long_key_is_cut_at_a_character() {
    let mut detector = TRIAL.detector("{}");
    let long = "é".repeat(1 << 19);
    let found = TRIAL.judge(&mut detector, &[read(&long, 22 * HOUR), read(&long, 23 * HOUR)]);
    assert_eq!(TRIAL.ids(&found), [("off-hours-access", &*"é".repeat(64), 17 * 60)]);
}

/// Written by version 1: the night of `b` and of `c`; `a` was evicted.
const BEFORE: &str = "096f66662d686f7572730102016280d08788fcbdb00601809093e390bdb00680c0f4a46b0080c098ccc5070100\
    020106d813016380909de91a01809093e390bdb00680d0918e86010080b0fbe2aa070100020106d0140101d8c4\
    02";

#[test]
fn the_state_of_the_previous_version_is_restored() {
    let state = bytes_of(BEFORE);
    let mut detector = TRIAL.detector("{}");
    detector.restore(1, &state).expect("a state of version 1");
    let found = TRIAL.judge(&mut detector, &[read("b", 23 * HOUR), export("c", 23 * HOUR)]);
    assert_eq!(TRIAL.ids(&found), [("off-hours-access-escalated", "c", 17 * 60)]);
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
