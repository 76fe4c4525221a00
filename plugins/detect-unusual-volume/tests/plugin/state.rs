//! The state: bounded, saved and restored.

use audit_detect::testing::{DAY, HOUR, MINUTE, Random, SECOND, TIME_MAX, TIME_MIN, bytes_of};
use audit_plugin_sdk::Severity;

use crate::common::{Event, START, TRIAL, days, experienced, judge, office, read, reads, reported};

/// Small numbers, so that a few rows are a history.
const SMALL: &str =
    r#"{"floor": 9, "fallback": 12, "history": "4d", "history-min": "2d", "max-keys": 4}"#;

/// Events of many shapes: several users, late, early and forged times, gaps, bursts.
fn traffic(seed: u64) -> Vec<Vec<Event>> {
    let mut random = Random(seed);
    let mut now = 0;
    let batches = (0..150).map(|_| {
        now += random.below(5) as i64 * HOUR;
        let burst = random.below(4) == 0;
        let rows = (0..random.below(if burst { 60 } else { 12 })).map(|_| {
            let shift = [0, 0, 0, 0, -30 * MINUTE, -3 * HOUR, 2 * HOUR][random.below(7) as usize];
            let received = now + random.below(3_600) as i64 * SECOND;
            let user = ["a", "b", "c", "d", "e"][random.below(if burst { 1 } else { 5 }) as usize];
            Event { time: Some(received + shift), ..read(user, received) }
        });
        rows.collect::<Vec<_>>()
    });
    batches.filter(|batch| !batch.is_empty()).collect()
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    for seed in 1..4 {
        let batches = traffic(seed);
        let mut unbroken = TRIAL.detector(SMALL);
        let expected: Vec<_> = batches.iter().map(|batch| judge(&mut unbroken, batch)).collect();
        let all = expected.concat();
        for rule in ["unusual-volume", "unusual-volume-escalated", "state-evicted"] {
            assert!(all.iter().any(|alert| alert.rule == rule), "seed {seed} has no {rule}");
        }
        let mut first = TRIAL.detector(SMALL);
        for split in 0..batches.len() {
            let state = first.snapshot();
            let mut second = TRIAL.detector(SMALL);
            second.restore(2, &state).expect("a state of this detector");
            assert_eq!(second.snapshot(), state, "seed {seed}, split {split}");
            // Some of what follows, as all of it for every split would take long.
            let end = batches.len().min(split + 25);
            let alerts: Vec<_> =
                batches[split..end].iter().map(|batch| judge(&mut second, batch)).collect();
            assert_eq!(alerts, expected[split..end], "seed {seed}, split {split}");
            judge(&mut first, &batches[split]);
        }
        assert_eq!(first.snapshot(), unbroken.snapshot(), "seed {seed}");
    }
}

#[test]
fn damaged_and_hostile_states_are_refused() {
    for now in [0, 40 * DAY, -40 * DAY] {
        let more: Vec<Event> =
            ["a", "b", "c", "d"].into_iter().flat_map(|user| reads(user, now, 20)).collect();
        TRIAL.damaged_states(SMALL, &traffic(7), &more);
    }
}

/// Hours at the ends of what a number holds.
#[test]
fn extreme_times_are_counted_or_refused() {
    let ends = [i64::MIN / 2, -9_000_000_000 * SECOND, 0, i64::MAX / 4, i64::MAX / 2];
    for first in ends {
        for second in ends {
            let mut detector = TRIAL.detector(SMALL);
            judge(&mut detector, &reads("a", first, 30));
            judge(&mut detector, &reads("a", second, 30));
            let state = detector.snapshot();
            TRIAL.detector(SMALL).restore(2, &state).expect("a state that it wrote itself");
        }
    }
}

#[test]
fn a_longer_history_than_before_is_not_taken_for_silence() {
    let state = experienced(&["user_001"]).snapshot();
    let usual = days("user_001", 21, 26, office);
    for config in [r#"{"history": "60d"}"#, r#"{"history": "14d"}"#, r#"{"max-late": "0s"}"#] {
        let mut other = TRIAL.detector(config);
        other.restore(2, &state).expect("a state of this detector");
        assert_eq!(reported(&judge(&mut other, &usual)), [], "{config}");
        assert_eq!(judge(&mut other, &reads("user_001", 26 * DAY, 300)).len(), 2, "{config}");
    }
}

#[test]
fn the_key_silent_for_longest_is_forgotten_and_that_is_reported() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 2}"#);
    let rows = [read("a", 0), read("b", 1), read("a", HOUR), read("c", HOUR + 1)];
    let alerts = judge(&mut detector, &rows);
    let [evicted] = alerts.as_slice() else {
        panic!("{alerts:?}");
    };
    let found = (&*evicted.rule, evicted.severity, evicted.count);
    assert_eq!(found, ("state-evicted", Severity::Low, 1));
    assert!(evicted.message.starts_with("1 pairs of user and action were evicted"));
    assert_eq!(judge(&mut detector, &[read("d", HOUR + 2), read("e", HOUR + 3)]), []);
    let alerts = judge(&mut detector, &[read("e", 2 * HOUR)]);
    assert_eq!(alerts[0].count, 2);
    assert!(alerts[0].message.contains("3 so far"), "{}", alerts[0].message);
}

/// Users that have left take no room for ever, and that they are forgotten is no alert.
#[test]
fn who_was_silent_for_two_weeks_is_forgotten() {
    let mut detector = TRIAL.detector("{}");
    judge(&mut detector, &days("leaver", 0, 21, office));
    let with = detector.snapshot().len();
    // Enough events that the last ones agree.
    let others = days("user_001", 21, 60, |_, hour| u32::from((9..13).contains(&hour)));
    assert_eq!(judge(&mut detector, &others), []);
    assert!(detector.snapshot().len() < with, "{with} bytes");
}

/// 100,000 pairs in the default 32 MiB: a third of them busy for eight hours of every working day.
#[test]
fn the_default_number_of_keys_fits_the_default_memory() {
    let mut detector = TRIAL.detector("{}");
    let n_keys = 100_000;
    let mut alerts = Vec::new();
    for day in 0..19_i64 {
        for hour in 9..17 {
            let mut rows = Vec::new();
            for index in 0..n_keys {
                let at = day * DAY + hour * HOUR + i64::from(index) * 1_000;
                let n_rows = match index % 3 {
                    0 => 4,
                    _ => u32::from(day % 9 == 0 && hour == 12),
                };
                let user = format!("user_{index:05}");
                rows.extend((0..n_rows).map(|_| read(&user, at)));
            }
            if day % 7 < 5 {
                alerts.extend(judge(&mut detector, &rows));
            }
        }
    }
    assert_eq!(reported(&alerts), [], "nothing is forgotten");
    println!("a snapshot of {n_keys} keys: {} KiB", detector.snapshot().len() / 1024);
}

/// The year 1 is the zero value of times in Go and .NET.
#[test]
fn the_first_and_the_last_time_are_times() {
    for time in [TIME_MIN, TIME_MAX] {
        let rows = vec![read("a", time - START); 201];
        assert_eq!(judge(&mut TRIAL.detector("{}"), &rows).len(), 1, "{time}");
    }
}

/// Written by version 1: `c` with 190 events in an hour; `a` was evicted.
const BEFORE: &str = "0e756e757375616c2d766f6c756d651501020b646174615f726561640062828091bbf6f5910690cd3a00010001\
    0001010000000b646174615f7265616400638e9a94d71a90cd3a000100be01c80100888dcaab0d0000000101c6\
    b802";

#[test]
fn the_state_of_the_previous_version_is_restored() {
    let state = bytes_of(BEFORE);
    let mut detector = TRIAL.detector("{}");
    detector.restore(1, &state).expect("a state of version 1");
    assert_eq!(reported(&judge(&mut detector, &reads("c", 0, 11))), [("unusual-volume", 0, 201)]);
    for length in 0..state.len() {
        assert!(detector.restore(1, &state[..length]).is_err(), "cut to {length} bytes");
    }
}
