//! The state: bounded, saved and taken over.

use audit_plugin_sdk::{RestoreError, Severity};

use crate::common::{CONFIG, Change, DAY, MINUTE, detector, grant, ids, judge, received};
use crate::robust::traffic;

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in [(1, CONFIG), (2, r#"{"roles": "roles", "max-keys": 2}"#)] {
        let rows = traffic(seed, 400);
        let batches: Vec<&[Change]> = rows.chunks(10).collect();
        let mut unbroken = detector(config);
        let expected: Vec<_> = batches.iter().map(|batch| judge(&mut unbroken, batch)).collect();
        assert!(expected.iter().any(|alerts| !alerts.is_empty()), "seed {seed} tests nothing");
        for split in 0..=batches.len() {
            let mut first = detector(config);
            let mut alerts: Vec<_> =
                batches[..split].iter().map(|batch| judge(&mut first, batch)).collect();
            let state = first.snapshot();
            let mut second = detector(config);
            second.restore(1, &state).expect("a state of this detector");
            assert_eq!(second.snapshot(), state, "seed {seed}, split {split}");
            alerts.extend(batches[split..].iter().map(|batch| judge(&mut second, batch)));
            assert_eq!(alerts, expected, "seed {seed}, split {split}");
            assert_eq!(second.snapshot(), unbroken.snapshot(), "seed {seed}, split {split}");
        }
    }
}

#[test]
fn hostile_bytes_are_refused_and_change_nothing() {
    let mut detector = detector(CONFIG);
    judge(&mut detector, &traffic(5, 200));
    let state = detector.snapshot();
    for length in 0..state.len() {
        let result = detector.restore(1, &state[..length]);
        assert!(matches!(result, Err(RestoreError::Corrupt(_))), "{length} bytes");
    }
    let mut longer = state.clone();
    longer.push(0);
    assert!(detector.restore(1, &longer).is_err());
    let wrong_version = detector.restore(2, &state);
    assert!(matches!(wrong_version, Err(RestoreError::UnsupportedVersion)));
    assert_eq!(detector.snapshot(), state, "what was refused changed nothing");
    let mut other = self::detector(CONFIG);
    for at in 0..state.len() {
        for bit in [0, 3, 7] {
            let mut damaged = state.clone();
            damaged[at] ^= 1 << bit;
            // Refused or taken, it must go on.
            if other.restore(1, &damaged).is_ok() {
                judge(&mut other, &[grant("clerk", DAY)]);
                other.snapshot();
            }
        }
    }
}

#[test]
fn the_actor_silent_for_longest_is_forgotten_and_that_is_told() {
    let mut detector = detector(r#"{"roles": "roles", "max-keys": 2}"#);
    let rows = ["a", "b", "a", "c"]
        .into_iter()
        .zip(0..)
        .map(|(actor, minute)| grant(actor, minute * MINUTE));
    let found = judge(&mut detector, &rows.collect::<Vec<_>>());
    let evicted = found.last().unwrap();
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    let again = judge(&mut detector, &[grant("a", 5 * MINUTE), grant("b", MINUTE)]);
    assert_eq!(ids(&again), [("privilege-change", "b", 1)], "under the id that it had");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut detector = detector(r#"{"roles": "roles", "state-bytes-max": 1048576}"#);
    for round in 0..20 {
        let rows: Vec<Change> =
            (0..1_000).map(|index| grant(&format!("actor_{round}_{index}"), index)).collect();
        judge(&mut detector, &rows);
        assert!(detector.snapshot().len() < 1 << 20);
    }
    // One actor with everything that can be made up.
    let mut detector = self::detector(CONFIG);
    let rows: Vec<Change> =
        (0..20_000).map(|index| received("clerk", -index * 2 * MINUTE, index)).collect();
    for rows in rows.chunks(1_000) {
        judge(&mut detector, rows);
    }
    assert!(detector.snapshot().len() < 20_000, "{}", detector.snapshot().len());
}
