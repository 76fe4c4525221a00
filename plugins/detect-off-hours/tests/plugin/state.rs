//! The state: bounded, saved and taken over.

use audit_plugin_sdk::{RestoreError, Severity};

use crate::common::{Access, DAY, HOUR, MINUTE, detector, export, ids, judge, read};
use crate::robust::traffic;

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in [(1, "{}"), (2, r#"{"max-keys": 2}"#), (3, r#"{"min-events": 2}"#)] {
        let rows = traffic(seed, 400);
        let batches: Vec<&[Access]> = rows.chunks(10).collect();
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
    let mut detector = detector("{}");
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
    let mut other = self::detector("{}");
    for at in 0..state.len() {
        for bit in [0, 3, 7] {
            let mut damaged = state.clone();
            damaged[at] ^= 1 << bit;
            // Refused or taken, it must go on.
            if other.restore(1, &damaged).is_ok() {
                judge(&mut other, &[export("user_1", 40 * DAY)]);
                other.snapshot();
            }
        }
    }
}

#[test]
fn the_user_silent_for_longest_is_forgotten_and_that_is_told() {
    let mut detector = detector(r#"{"max-keys": 2}"#);
    let night = |user: &str, minute: i64| read(user, 22 * HOUR + minute * MINUTE);
    let found = judge(&mut detector, &[night("a", 0), night("b", 1), night("a", 2), night("c", 3)]);
    let evicted = found.last().unwrap();
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    assert!(evicted.key.is_empty());
    // `b` went, as `a` came back later: its night is told again, under the same id.
    let again = judge(&mut detector, &[night("a", 4), night("b", 5)]);
    assert_eq!(ids(&again), [("off-hours-access", "b", 17 * 60)]);
    // On the next day the sum is said.
    let found = judge(&mut detector, &[read("d", DAY + 22 * HOUR)]);
    assert_eq!(found.iter().filter(|alert| alert.rule == "state-evicted").count(), 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut detector = detector(r#"{"state-bytes-max": 1048576, "min-events": 1000000}"#);
    for round in 0..40 {
        let rows: Vec<Access> = (0..1_000)
            .map(|index| read(&format!("user_{round}_{index}"), 22 * HOUR + index * MINUTE / 100))
            .collect();
        judge(&mut detector, &rows);
        assert!(detector.snapshot().len() < 1 << 20);
    }
    // One user with many events in one night takes no more than one with a few.
    let mut detector = self::detector("{}");
    let rows: Vec<Access> = (0..20_000).map(|index| read("a", 22 * HOUR + index)).collect();
    judge(&mut detector, &rows);
    assert!(detector.snapshot().len() < 400, "{}", detector.snapshot().len());
}

#[test]
fn a_long_key_is_cut_at_a_character() {
    let mut detector = detector("{}");
    let long = "é".repeat(1 << 19);
    let found = judge(&mut detector, &[read(&long, 22 * HOUR), read(&long, 23 * HOUR)]);
    assert_eq!(ids(&found), [("off-hours-access", &*"é".repeat(64), 17 * 60)]);
}
