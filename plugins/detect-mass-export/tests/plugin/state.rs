//! The state: bounded, saved and taken over, and the same however the stream is cut.

use audit_plugin_sdk::RestoreError;
use audit_plugin_sdk::codec::Writer;

use crate::common::{
    DAY, Export, HOUR, MINUTE, Random, SECOND, detector, export, judge, received, rules,
};

/// Exports of many shapes: several users, late, early and forged times, gaps.
fn traffic(seed: u64) -> Vec<Vec<Export>> {
    let mut random = Random(seed);
    let mut now = 0;
    let export = |random: &mut Random, now: i64| {
        let user = format!("user_{}", random.below(5));
        let shift = [0, 0, 0, -30 * MINUTE, -3 * HOUR, 2 * HOUR][random.below(6) as usize];
        let time = now + shift + random.below(600) as i64 * SECOND;
        received(&user, [0, 10, 3_000, 30_000][random.below(4) as usize], time, now)
    };
    let batches = (0..40).map(|_| {
        now += random.below(20) as i64 * MINUTE;
        (0..random.below(12)).map(|_| export(&mut random, now)).collect()
    });
    batches.filter(|batch: &Vec<Export>| !batch.is_empty()).collect()
}

const CONFIGS: [(u64, &str); 3] =
    [(1, "{}"), (2, r#"{"events": 2, "max-keys": 3}"#), (3, r#"{"window": "10m"}"#)];

#[test]
fn a_restart_anywhere_changes_nothing() {
    for (seed, config) in CONFIGS {
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
fn the_size_of_batches_changes_nothing() {
    for (seed, config) in CONFIGS {
        let exports: Vec<Export> = traffic(seed).concat();
        let run = |size: usize| {
            let mut detector = detector(config);
            let alerts: Vec<_> =
                exports.chunks(size).flat_map(|batch| judge(&mut detector, batch)).collect();
            (alerts, detector.snapshot())
        };
        let expected = run(1);
        assert!(!expected.0.is_empty(), "seed {seed} tests nothing");
        assert_eq!(run(7), expected, "seed {seed}");
        assert_eq!(run(4_096), expected, "seed {seed}");
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
    assert!(to.restore(1, &[&state[..], &[0]].concat()).is_err(), "a byte too many");
    let mut random = Random(11);
    for _ in 0..20_000 {
        let mut damaged = state.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.below(256) as u8;
        }
        // What is accepted by chance must be a state that works.
        if to.restore(1, &damaged).is_ok() {
            judge(&mut to, &[export("user_1", u64::MAX, DAY), export("user_2", 1, 0)]);
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
    let mut writer = Writer::default();
    writer.bytes(b"mass-export");
    writer.uint(0);
    writer.uint(u64::MAX);
    assert!(detector("{}").restore(1, &writer.finish()).is_err());
}

#[test]
fn what_is_kept_of_one_user_is_bounded() {
    let mut detector = detector("{}");
    for part in 0..20_i64 {
        // Dated back, each far from the others, so that none is ever in a window.
        let exports: Vec<Export> = (0..1_000)
            .map(|index| part * 1_000 + index)
            .map(|index| received("u", 1, -index * HOUR, index))
            .collect();
        assert!(judge(&mut detector, &exports).is_empty());
    }
    assert!(detector.snapshot().len() < 1_000 * 30);
}

#[test]
fn users_without_number_stay_within_the_limits_and_that_is_told() {
    let mut detector = detector(r#"{"max-keys": 500}"#);
    let exports: Vec<Export> =
        (0..20_000).map(|index| export(&format!("user_{index}"), 1, index)).collect();
    let alerts = judge(&mut detector, &exports);
    assert_eq!(rules(&alerts), ["state-evicted"]);
    assert!(alerts[0].key.is_empty() && alerts[0].count == 1);
    assert!(detector.snapshot().len() < 500 * 40);
    let alerts = judge(&mut detector, &[export("user_0", 1, DAY)]);
    assert_eq!(alerts[0].count, 20_000 - 500 - 1, "the sum of the day before");
}

/// One who exports without end evicts nobody.
#[test]
fn one_busy_user_leaves_the_others() {
    let mut detector = detector(r#"{"max-keys": 3}"#);
    judge(&mut detector, &[export("a", 9_000, 0), export("b", 9_000, 0)]);
    for part in 0..20 {
        let exports: Vec<Export> =
            (0..1_000).map(|index| export("busy", 1, part * 1_000 + index)).collect();
        judge(&mut detector, &exports);
    }
    let alerts = judge(&mut detector, &[export("a", 1_000, MINUTE), export("b", 1_000, MINUTE)]);
    assert_eq!(rules(&alerts), ["mass-export"; 2]);
}
