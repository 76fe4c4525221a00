//! The state: bounded, saved and restored, and independent of batch boundaries.

use audit_detect::testing::{self, DAY, HOUR, MINUTE, bytes_of, rules};
use audit_plugin_sdk::codec::Writer;

use crate::common::{Seen, TRIAL, received, seen};

/// Events of many shapes: several users and addresses, late, early and forged times, gaps.
fn traffic(seed: u64) -> Vec<Vec<Seen>> {
    testing::traffic(seed, |random, now| {
        let user = format!("user_{}", random.below(5));
        let address = format!("10.0.0.{}", random.below(4));
        received(&user, &address, random.event_time(now), now)
    })
}

const CONFIGS: [(u64, &str); 3] =
    [(1, "{}"), (2, r#"{"addresses": 1, "max-keys": 3}"#), (3, r#"{"window": "20m"}"#)];

#[test]
fn restarts_and_the_size_of_batches_change_nothing() {
    TRIAL.restarts_and_sizes(&CONFIGS, traffic);
}

#[test]
fn damaged_and_hostile_states_are_refused() {
    let more = [seen("user_1", "10.0.0.1", DAY), seen("user_2", "::1", 0)];
    TRIAL.damaged_states("{}", &traffic(7), &more);
}

#[test]
fn lengths_in_a_state_are_not_trusted() {
    let mut writer = Writer::default();
    writer.bytes(b"ip-spread");
    writer.uint(0);
    writer.uint(u64::MAX);
    assert!(TRIAL.detector("{}").restore(2, &writer.finish()).is_err());
}

#[test]
fn the_state_of_one_user_is_bounded() {
    let mut detector = TRIAL.detector("{}");
    for part in 0..20_i64 {
        // Dated back, each far from the others, so that none is ever in a window.
        let rows: Vec<Seen> = (0..1_000)
            .map(|index| part * 1_000 + index)
            .map(|index| received("u", &format!("tok_{index}"), -index * HOUR, index))
            .collect();
        let reported = if part == 1 { vec!["events-evicted"] } else { Vec::new() };
        assert_eq!(rules(&TRIAL.judge(&mut detector, &rows)), reported);
    }
    assert!(detector.snapshot().len() < 1_000 * 40);
}

#[test]
fn countless_users_stay_within_the_limits_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 500}"#);
    let rows: Vec<Seen> =
        (0..20_000).map(|index| seen(&format!("user_{index}"), "10.0.0.1", index)).collect();
    let alerts = TRIAL.judge(&mut detector, &rows);
    assert_eq!(rules(&alerts), ["state-evicted"]);
    assert!(alerts[0].key.is_empty() && alerts[0].count == 1);
    assert!(detector.snapshot().len() < 500 * 40);
    let alerts = TRIAL.judge(&mut detector, &[seen("user_0", "10.0.0.1", DAY)]);
    assert_eq!(alerts[0].count, 20_000 - 500 - 1, "the sum of what went since");
}

/// One who is seen everywhere evicts nobody.
#[test]
fn one_busy_user_leaves_the_others() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 3}"#);
    TRIAL.judge(&mut detector, &[seen("a", "10.0.0.1", 0), seen("a", "10.0.0.2", 1)]);
    for part in 0..20 {
        let rows: Vec<Seen> = (0..1_000)
            .map(|index| seen("busy", &format!("tok_{index}"), part * 1_000 + index))
            .collect();
        TRIAL.judge(&mut detector, &rows);
    }
    assert_eq!(rules(&TRIAL.judge(&mut detector, &[seen("a", "10.0.0.3", MINUTE)])), ["ip-spread"]);
}

/// Written by version 1: `u` was reported, `c` was seen at two addresses, `a` was evicted.
const BEFORE: &str = "0969702d737072656164010201758680e0a2ebe6910600018280e0a2ebe691068680e0a2ebe691068680e0a2eb\
    e6910603000200016304028880e0a2ebe69106000600818080500200060082808050000101c0b802";

#[test]
fn the_state_of_the_previous_version_is_restored() {
    let state = bytes_of(BEFORE);
    let mut detector = TRIAL.detector("{}");
    detector.restore(1, &state).expect("a state of version 1");
    let rows = [seen("u", "10.0.0.9", 7), seen("c", "10.0.0.3", 8)];
    let found = TRIAL.judge(&mut detector, &rows);
    assert_eq!((rules(&found), found[0].count), (vec!["ip-spread"], 3));
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
