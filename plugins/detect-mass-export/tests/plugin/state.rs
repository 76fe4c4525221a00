//! The state: bounded, saved and restored, and independent of batch boundaries.

use audit_detect::testing::{self, DAY, HOUR, MINUTE, SECOND, START, rules};
use audit_plugin_sdk::codec::Writer;

use crate::common::{Export, TRIAL, export, received};

/// Exports of many shapes: several users, late, early and forged times, gaps.
fn traffic(seed: u64) -> Vec<Vec<Export>> {
    testing::traffic(seed, |random, now| {
        let user = format!("user_{}", random.below(5));
        let time = random.event_time(now);
        received(&user, random.one_of(&[0, 10, 3_000, 30_000]), time, now)
    })
}

const CONFIGS: [(u64, &str); 3] =
    [(1, "{}"), (2, r#"{"events": 2, "max-keys": 3}"#), (3, r#"{"window": "10m"}"#)];

#[test]
fn restarts_and_the_size_of_batches_change_nothing() {
    TRIAL.restarts_and_sizes(&CONFIGS, traffic);
}

#[test]
fn damaged_and_hostile_states_are_refused() {
    let more = [export("user_1", u64::MAX, DAY), export("user_2", 1, 0)];
    TRIAL.damaged_states("{}", &traffic(7), &more);
}

#[test]
fn lengths_in_a_state_are_not_trusted() {
    let mut writer = Writer::default();
    writer.bytes(b"mass-export");
    writer.uint(0);
    writer.uint(u64::MAX);
    assert!(TRIAL.detector("{}").restore(2, &writer.finish()).is_err());
}

#[test]
fn the_state_of_one_user_is_bounded() {
    let mut detector = TRIAL.detector("{}");
    for part in 0..20_i64 {
        // Dated back, each far from the others, so that none is ever in a window.
        let exports: Vec<Export> = (0..1_000)
            .map(|index| part * 1_000 + index)
            .map(|index| received("u", 1, -index * HOUR, index))
            .collect();
        let reported = if part == 1 { vec!["events-evicted"] } else { Vec::new() };
        assert_eq!(rules(&TRIAL.judge(&mut detector, &exports)), reported);
    }
    assert!(detector.snapshot().len() < 1_000 * 30);
}

#[test]
fn countless_users_stay_within_the_limits_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 500}"#);
    let exports: Vec<Export> =
        (0..20_000).map(|index| export(&format!("user_{index}"), 1, index)).collect();
    let alerts = TRIAL.judge(&mut detector, &exports);
    assert_eq!(rules(&alerts), ["state-evicted"]);
    assert!(alerts[0].key.is_empty() && alerts[0].count == 1);
    assert!(detector.snapshot().len() < 500 * 40);
    let alerts = TRIAL.judge(&mut detector, &[export("user_0", 1, DAY)]);
    assert_eq!(alerts[0].count, 20_000 - 500 - 1, "the sum of what went since");
}

/// One who exports without end evicts nobody.
#[test]
fn one_busy_user_leaves_the_others() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 3}"#);
    TRIAL.judge(&mut detector, &[export("a", 9_000, 0), export("b", 9_000, 0)]);
    for part in 0..20 {
        let exports: Vec<Export> =
            (0..1_000).map(|index| export("busy", 1, part * 1_000 + index)).collect();
        TRIAL.judge(&mut detector, &exports);
    }
    let alerts =
        TRIAL.judge(&mut detector, &[export("a", 1_000, MINUTE), export("b", 1_000, MINUTE)]);
    assert_eq!(rules(&alerts), ["mass-export"; 2]);
}

/// Exports without rows, each at a time of its own, do not bury the one that holds nearly too many.
#[test]
fn nothing_is_buried_under_empty_exports() {
    let mut detector = TRIAL.detector("{}");
    let mut exports = vec![export("u", 9_999, 0)];
    exports.extend((1..=1_000).map(|index| received("u", 0, -index * HOUR, index)));
    exports.push(export("u", 9_999, SECOND));
    assert_eq!(rules(&TRIAL.judge(&mut detector, &exports)), ["events-evicted", "mass-export"]);
    // Nor do heavy ones that are long past bury many at once.
    let mut detector = TRIAL.detector("{}");
    let mut exports: Vec<Export> =
        (1..=1_000).map(|index| received("u", 9, -index * HOUR, index)).collect();
    exports.extend((0..20).map(|index| export("u", 0, SECOND + index)));
    assert_eq!(rules(&TRIAL.judge(&mut detector, &exports)), ["events-evicted", "mass-export"]);
}

/// A state of version 1: a window with 29,000 rows, two exports in it.
#[test]
fn the_state_of_the_previous_version_is_restored() {
    let mut writer = Writer::default();
    writer.bytes(b"mass-export");
    writer.uint(1);
    writer.uint(1);
    writer.bytes(b"u");
    writer.int(START + 2 * MINUTE);
    writer.uint(0);
    writer.uint(1);
    for time in [START + MINUTE, START + 2 * MINUTE, START + 2 * MINUTE] {
        writer.int(time);
    }
    for number in [2, 29_000, 2, 0] {
        writer.uint(number);
    }
    for number in [1, 1] {
        writer.uint(number);
    }
    writer.int(20_000);
    let state = writer.finish();
    let mut detector = TRIAL.detector("{}");
    detector.restore(1, &state).expect("a state of version 1");
    let found = TRIAL.judge(&mut detector, &[export("u", 21_000, 3 * MINUTE)]);
    assert_eq!((rules(&found), found[0].count), (vec!["mass-export-escalated"], 3));
    assert_eq!(found[0].window_start, START + MINUTE);
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
