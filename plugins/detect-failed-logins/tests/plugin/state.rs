//! The state: bounded, saved and taken over.

use crate::common::{DAY, HOUR, Login, MINUTE, Random, SECOND, detector, failure, judge, received};
use audit_plugin_sdk::{RestoreError, Severity};

/// Failures of many shapes: several addresses, late, early and forged times, gaps.
fn traffic(seed: u64) -> Vec<Vec<Login>> {
    let mut random = Random(seed);
    let mut now = 0;
    (0..40)
        .map(|_| {
            now += random.below(20) as i64 * MINUTE;
            (0..random.below(12))
                .map(|_| {
                    let address = format!("10.0.0.{}", random.below(5));
                    let shift =
                        [0, 0, 0, -30 * MINUTE, -3 * HOUR, 2 * HOUR][random.below(6) as usize];
                    let time = now + shift + random.below(600) as i64 * SECOND;
                    let user = ["user_001", "user_002", "user_003"][random.below(3) as usize];
                    Login { user, ..received(&address, time, now) }
                })
                .collect()
        })
        .filter(|batch: &Vec<Login>| !batch.is_empty())
        .collect()
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in
        [(1, "{}"), (2, r#"{"threshold": 2, "max-keys": 3}"#), (3, r#"{"window": "10m"}"#)]
    {
        let batches = traffic(seed);
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
fn damaged_and_hostile_states_are_refused() {
    let mut from = detector("{}");
    for batch in traffic(7) {
        judge(&mut from, &batch);
    }
    let state = from.snapshot();
    let mut to = detector("{}");
    assert!(matches!(to.restore(2, &state), Err(RestoreError::UnsupportedVersion)));
    assert!(matches!(to.restore(1, b""), Err(RestoreError::Corrupt(_))));
    for length in 0..state.len() {
        assert!(to.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
    let longer = [&state[..], &[0]].concat();
    assert!(to.restore(1, &longer).is_err(), "a byte too many");
    let mut random = Random(11);
    for _ in 0..20_000 {
        let mut damaged = state.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.below(256) as u8;
        }
        // What is accepted by chance must be a state that works.
        if to.restore(1, &damaged).is_ok() {
            judge(&mut to, &[failure("10.0.0.1", DAY), failure("10.0.0.2", 0)]);
            let again = to.snapshot();
            detector("{}").restore(1, &again).expect("a state that it wrote itself");
        }
    }
    // A refused state leaves the old one.
    to.restore(1, &state).expect("a state of this detector");
    assert!(to.restore(1, b"damaged").is_err());
    assert_eq!(to.snapshot(), state);
}

#[test]
fn lengths_in_a_state_are_not_believed() {
    let mut writer = audit_plugin_sdk::codec::Writer::default();
    writer.bytes(b"failed-logins");
    for _ in 0..5 {
        writer.uint(0);
    }
    let mut bytes = writer.finish();
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert!(detector("{}").restore(1, &bytes).is_err());
}

#[test]
fn old_failures_are_forgotten() {
    let mut detector = detector("{}");
    let empty = detector.snapshot().len();
    for hour in 0..200 {
        judge(&mut detector, &[failure(&format!("10.0.0.{hour}"), hour * HOUR)]);
    }
    let size = detector.snapshot().len();
    assert!(size < empty + 3 * 40, "{size} bytes for what was within two hours");
}

#[test]
fn what_is_kept_of_one_address_is_bounded() {
    let mut detector = detector(r#"{"threshold": 999, "window": "1s"}"#);
    // Dated back, each far from the others, so that none is ever in a window.
    let logins: Vec<Login> =
        (0..20_000).map(|index| received("a", -index * MINUTE, index)).collect();
    for batch in logins.chunks(1_000) {
        assert!(judge(&mut detector, batch).is_empty());
    }
    assert!(detector.snapshot().len() < 1_000 * 30);
}

#[test]
fn a_long_attack_takes_little_state_and_one_alert_a_window() {
    let mut detector = detector("{}");
    let mut alerts = Vec::new();
    for minute in 0..600 {
        let logins: Vec<Login> =
            (0..100).map(|index| failure("a", minute * MINUTE + index)).collect();
        alerts.extend(judge(&mut detector, &logins));
        assert!(detector.snapshot().len() < 400);
    }
    assert_eq!(alerts.len(), 10);
    assert!(alerts.iter().all(|alert| alert.severity == Severity::High));
}

#[test]
fn the_address_silent_for_longest_is_forgotten_and_that_is_told() {
    let mut detector = detector(r#"{"max-keys": 2, "threshold": 1}"#);
    let alerts = judge(
        &mut detector,
        &[failure("a", 0), failure("b", 1), failure("a", 2 * HOUR), failure("c", 3)],
    );
    // `b` went, as `a` came back later; `a` is not in one window.
    let [evicted] = alerts.as_slice() else {
        panic!("{alerts:?}");
    };
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    // Within the same day nothing more is said; on the next day the sum is.
    assert!(judge(&mut detector, &[failure("d", 3 * HOUR), failure("e", 3 * HOUR)]).is_empty());
    let alerts = judge(&mut detector, &[failure("f", DAY)]);
    assert_eq!(alerts[0].count, 3);
    assert!(judge(&mut detector, &[failure("f", 2 * DAY)]).is_empty());
}

#[test]
fn an_alert_outlives_its_address_in_the_batch() {
    let mut detector = detector(r#"{"max-keys": 1, "threshold": 1}"#);
    let alerts = judge(&mut detector, &[failure("a", 0), failure("a", 1), failure("b", 2)]);
    let rules: Vec<&str> = alerts.iter().map(|alert| alert.rule.as_str()).collect();
    assert_eq!(rules, ["failed-logins", "state-evicted"]);
}
