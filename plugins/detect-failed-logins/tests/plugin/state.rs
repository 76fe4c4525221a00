//! The state: bounded, saved and restored.

use crate::common::{Login, TRIAL, USERS, failure, received, success};
use audit_detect::testing::{self, DAY, HOUR, MINUTE, Random, SECOND, START, bytes_of, rules};
use audit_plugin_sdk::Severity;
use audit_plugin_sdk::codec::Writer;

/// Failures of many shapes: several addresses, late, early and forged times, gaps.
fn traffic(seed: u64) -> Vec<Vec<Login>> {
    testing::traffic(seed, |random, now| {
        let address = format!("10.0.0.{}", random.below(5));
        let time = random.event_time(now);
        let user = random.one_of(&USERS);
        let result = random.one_of(&["failure", "failure", "success"]);
        Login { result, user, ..received(&address, time, now) }
    })
}

const CONFIGS: [(u64, &str); 4] = [
    (1, "{}"),
    (2, r#"{"threshold": 2, "max-keys": 3}"#),
    (3, r#"{"window": "10m"}"#),
    (3, r#"{"spray-users": 3}"#),
];

#[test]
fn restarts_and_the_size_of_batches_change_nothing() {
    TRIAL.restarts_and_sizes(&CONFIGS, traffic);
}

#[test]
fn damaged_and_hostile_states_are_refused() {
    let more = [failure("10.0.0.1", DAY), failure("10.0.0.2", 0)];
    TRIAL.damaged_states("{}", &traffic(7), &more);
}

#[test]
fn lengths_in_a_state_are_not_trusted() {
    let mut writer = Writer::default();
    writer.bytes(b"failed-logins");
    writer.uint(0);
    let mut bytes = writer.finish();
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert!(TRIAL.detector("{}").restore(3, &bytes).is_err());
}

#[test]
fn old_failures_are_forgotten() {
    let mut detector = TRIAL.detector(r#"{"after-attack": "0s"}"#);
    let empty = detector.snapshot().len();
    for hour in 0..200 {
        TRIAL.judge(&mut detector, &[failure(&format!("10.0.0.{hour}"), hour * HOUR)]);
    }
    // The last 32 events must agree that a key is old.
    let size = detector.snapshot().len();
    assert!(size < empty + (3 + 32) * 60, "{size} bytes for what was within 34 hours");
}

#[test]
fn what_is_kept_of_one_address_is_bounded() {
    let mut detector = TRIAL.detector(r#"{"threshold": 999, "window": "1s"}"#);
    // Dated back, each far from the others, so that none is ever in a window.
    let logins: Vec<Login> =
        (0..20_000).map(|index| received("a", -index * MINUTE, index)).collect();
    let found: Vec<_> =
        logins.chunks(1_000).flat_map(|batch| TRIAL.judge(&mut detector, batch)).collect();
    assert_eq!(rules(&found), ["events-evicted"]);
    // As failures, and as users who fail.
    assert!(detector.snapshot().len() < 2 * 1_000 * 30);
}

#[test]
fn a_long_attack_takes_little_state_and_one_alert_a_window() {
    let mut detector = TRIAL.detector("{}");
    let mut alerts = Vec::new();
    for minute in 0..600 {
        let logins: Vec<Login> =
            (0..100).map(|index| failure("a", minute * MINUTE + index)).collect();
        alerts.extend(TRIAL.judge(&mut detector, &logins));
        assert!(detector.snapshot().len() < 400);
    }
    assert_eq!(alerts.len(), 20);
    for reported in alerts.chunks(2) {
        assert_eq!(rules(reported), ["failed-logins", "failed-logins-escalated"]);
        assert_eq!(reported[0].window_start, reported[1].window_start);
    }
}

#[test]
fn the_address_silent_for_longest_is_forgotten_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 2, "threshold": 1}"#);
    let logins = [failure("a", 0), failure("b", 1), failure("a", 2 * HOUR), failure("c", 3)];
    let alerts = TRIAL.judge(&mut detector, &logins);
    // `b` went, as `a` came back later; `a` is not in one window.
    let [evicted] = alerts.as_slice() else {
        panic!("{alerts:?}");
    };
    assert_eq!(
        (&*evicted.rule, evicted.severity, evicted.count),
        ("state-evicted", Severity::Low, 1)
    );
    assert!(evicted.key.is_empty() && evicted.window_start == START);
    // Within the same hour nothing more is said; in the next one the sum is.
    assert!(
        TRIAL.judge(&mut detector, &[failure("d", MINUTE), failure("e", 2 * MINUTE)]).is_empty()
    );
    let alerts = TRIAL.judge(&mut detector, &[failure("f", HOUR)]);
    assert_eq!((rules(&alerts), alerts[0].count), (vec!["state-evicted"], 3));
    assert!(alerts[0].message.contains("4 so far"), "{}", alerts[0].message);
    assert!(TRIAL.judge(&mut detector, &[failure("f", 2 * DAY)]).is_empty());
}

#[test]
fn an_alert_is_raised_before_its_address_goes() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 1, "threshold": 1}"#);
    let alerts = TRIAL.judge(&mut detector, &[failure("a", 0), failure("a", 1), failure("b", 2)]);
    assert_eq!(rules(&alerts), ["failed-logins", "state-evicted"]);
}

#[test]
fn addresses_without_number_stay_within_the_limits() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 500}"#);
    let mut alerts = Vec::new();
    for part in 0..20 {
        let logins: Vec<Login> = (0..1_000)
            .map(|index| failure(&format!("10.{part}.{}.{}", index / 250, index % 250), part))
            .collect();
        alerts.extend(TRIAL.judge(&mut detector, &logins));
    }
    assert_eq!(rules(&alerts), ["state-evicted"]);
    assert!(detector.snapshot().len() < 500 * 80);
}

/// A state of the release before: the counters, then addresses with failures and windows.
fn version_1() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes(b"failed-logins");
    for _ in 0..3 {
        writer.uint(0);
    }
    writer.int(0);
    writer.int(START);
    writer.uint(2);
    let failures = |writer: &mut Writer, n: i64| {
        writer.uint(n as u64);
        for index in 0..n {
            writer.int(if index == 0 { START } else { MINUTE });
            writer.int(0);
            writer.int(3);
            writer.int(index);
            writer.uint(7 + index as u64);
        }
    };
    writer.bytes(b"2001:db8::1");
    failures(&mut writer, 5);
    writer.uint(0);
    writer.bytes(b"203.0.113.9");
    failures(&mut writer, 0);
    writer.uint(1);
    writer.int(START);
    writer.int(START + 5 * MINUTE);
    writer.int(START + 5 * MINUTE);
    writer.uint(6);
    writer.uint(0);
    failures(&mut writer, 6);
    writer.finish()
}

#[test]
fn the_state_of_the_previous_version_is_restored() {
    let state = version_1();
    let mut detector = TRIAL.detector("{}");
    detector.restore(1, &state).expect("a state of version 1");
    // The sixth failure of the one, by its network now; the tenth of the other; a login after it.
    let alerts = TRIAL.judge(&mut detector, &[failure("2001:db8::ffff", 6 * MINUTE)]);
    assert_eq!((rules(&alerts), alerts[0].count), (vec!["failed-logins"], 6));
    assert_eq!(alerts[0].key[0].value, "2001:db8::/64");
    let more: Vec<Login> = (6..10).map(|minute| failure("203.0.113.9", minute * MINUTE)).collect();
    let alerts = TRIAL.judge(&mut detector, &more);
    assert_eq!((rules(&alerts), alerts[0].count), (vec!["failed-logins-escalated"], 10));
    let login = Login { result: "success", ..failure("203.0.113.9", HOUR) };
    assert_eq!(rules(&TRIAL.judge(&mut detector, &[login])), ["login-after-attack"]);
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
    let mut random = Random(5);
    for _ in 0..20_000 {
        let mut damaged = state.clone();
        let at = random.below(damaged.len() as u64) as usize;
        damaged[at] = random.below(256) as u8;
        if detector.restore(1, &damaged).is_ok() {
            TRIAL.judge(&mut detector, &more);
            let again = detector.snapshot();
            detector.restore(3, &again).expect("a state that it wrote itself");
        }
    }
}

/// Written by version 2: `c` was reported, `b` has a failure and a login ten minutes later, `a` was evicted.
const BEFORE: &str = "0d6661696c65642d6c6f67696e73010201628098fadeefe69106018280e0a2ebe69106000600d6d1b0cc040002\
    8280e0a2ebe69106000600d6d1b0cc04fe979abc040006b009cdffb18c0500000163f1979abc0400018480e0a2\
    ebe691068e80e0a2ebe691068e80e0a2ebe69106060002068480e0a2ebe69106000600d6d1b0cc0402000600d6\
    d1b0cc0402000600d6d1b0cc0402000600d6d1b0cc0402000600d6d1b0cc0402000600d6d1b0cc04028480e0a2\
    ebe69106080600d6d1b0cc040a000600d6d1b0cc0400018480e0a2ebe691068e80e0a2ebe691068e80e0a2ebe6\
    9106000101c0b802";

#[test]
fn the_state_of_version_2_is_taken_over() {
    let state = bytes_of(BEFORE);
    let mut detector = TRIAL.detector("{}");
    detector.restore(2, &state).expect("a state of version 2");
    let alerts = TRIAL.judge(&mut detector, &[success("c", "user_002", MINUTE)]);
    assert_eq!(rules(&alerts), ["login-after-attack"]);
    let late: Vec<Login> = (0..5).map(|second| received("b", second * SECOND, HOUR)).collect();
    assert_eq!(rules(&TRIAL.judge(&mut detector, &late)), ["failed-logins", "login-after-attack"]);
    for length in 0..state.len() {
        assert!(detector.restore(2, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
