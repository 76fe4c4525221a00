//! Times that lie, come late or come again, and batches of any size.

use audit_detect::testing::{DAY, HOUR, MINUTE, Random, TIME_MAX, TIME_MIN};
use audit_plugin_sdk::testing::give_calendar;

use crate::common::{Access, MONDAY, TRIAL, export, open, read, received};

/// Accesses of many shapes: several users, days and nights, late, early and forged times.
pub(crate) fn traffic(seed: u64, n_rows: usize) -> Vec<Access> {
    let mut random = Random(seed);
    let mut now = 0;
    (0..n_rows)
        .map(|index| {
            now += random.below(90) as i64 * MINUTE / 2;
            let shift =
                [0, 0, 0, -30 * MINUTE, -2 * DAY, 3 * HOUR, 400 * DAY][random.below(7) as usize];
            let action = ["data_read", "data_read", "data_write", "data_export"];
            Access {
                action: action[random.below(4) as usize],
                offset: index as i64,
                partition: random.below(3) as i32,
                ..received(&format!("user_{}", random.below(7)), now + shift, now)
            }
        })
        .collect()
}

#[test]
fn where_batches_end_changes_nothing() {
    let configs =
        ["{}", r#"{"max-keys": 3}"#, r#"{"min-events": 3, "hours": ["mon-sun 08:00-16:00"]}"#];
    for (seed, config) in configs.into_iter().enumerate() {
        assert!(TRIAL.batches_of_any_size(config, &traffic(seed as u64, 5_000)).len() > 50);
    }
}

/// The Kafka time counts from five minutes on: an event dated into the night does not happen there,
/// one dated into the day does not hide, and neither touches what else is known of the user.
#[test]
fn a_time_ahead_of_kafka_is_cut() {
    let (noon, night) = (12 * HOUR, 22 * HOUR);
    for forged in [6 * HOUR, 365 * DAY, i64::MAX / 2] {
        assert!(
            TRIAL.alerts("{}", &[received("user_001", noon + forged, noon)]).is_empty(),
            "{forged}"
        );
    }
    let rows = [
        read("user_001", night),
        received("user_001", i64::MAX, night + MINUTE),
        received("user_001", DAY + 12 * HOUR, night + 2 * MINUTE),
        read("user_001", night + 3 * MINUTE),
    ];
    let found = TRIAL.alerts("{}", &rows);
    assert_eq!(TRIAL.ids(&found), [("off-hours-access", "user_001", 17 * 60)]);
    assert!(found[0].last_event <= MONDAY + night + 7 * MINUTE);
    // Five minutes are allowed: what was sent at 16:56 may have happened at 17:01.
    assert_eq!(
        TRIAL
            .alerts("{}", &[received("user_001", 17 * HOUR + MINUTE, 17 * HOUR - 4 * MINUTE)])
            .len(),
        1
    );
    let strict = r#"{"max-future": "0s"}"#;
    assert!(
        TRIAL
            .alerts(strict, &[received("user_001", 17 * HOUR + MINUTE, 17 * HOUR - 4 * MINUTE)])
            .is_empty()
    );
}

/// The past may be forged, but only the user's own nights are touched by that.
#[test]
fn a_forged_past_evicts_nobody() {
    let mut detector = TRIAL.detector(r#"{"max-keys": 10}"#);
    assert_eq!(TRIAL.judge(&mut detector, &[read("user_001", 22 * HOUR)]).len(), 1);
    for day in 1..1_000 {
        TRIAL.judge(&mut detector, &[received("forger", -day * DAY, 22 * HOUR)]);
    }
    // Most of the forger's own nights were evicted, and that is reported.
    let found = TRIAL.judge(&mut detector, &[read("user_001", 23 * HOUR)]);
    assert_eq!(TRIAL.ids(&found), [("events-evicted", "", 23 * 60)]);
}

/// Yesterday comes again, under new offsets and Kafka times: what is reported again has the id that it
/// had, and nothing else is reported.
#[test]
fn a_replayed_day_has_the_same_ids() {
    let day: Vec<Access> = (0..24 * 6)
        .map(|slot| {
            let user = format!("user_{}", slot % 5);
            if slot % 11 == 0 {
                export(&user, slot * 10 * MINUTE)
            } else {
                read(&user, slot * 10 * MINUTE)
            }
        })
        .collect();
    for later in [HOUR, DAY, 3 * DAY, 90 * DAY] {
        let mut detector = TRIAL.detector("{}");
        let first = TRIAL.judge(&mut detector, &day);
        let again: Vec<Access> = day
            .iter()
            .map(|row| Access {
                received: row.time.map(|time| time + later),
                offset: row.offset + 10_000,
                ..row.clone()
            })
            .collect();
        let second = TRIAL.judge(&mut detector, &again);
        let known = TRIAL.ids(&first);
        assert!(TRIAL.ids(&second).iter().all(|id| known.contains(id)), "{later}: {second:?}");
        if later < DAY {
            assert!(second.is_empty(), "still remembered");
        }
    }
}

#[test]
fn a_week_of_silence_changes_nothing() {
    let mut detector = TRIAL.detector("{}");
    assert_eq!(TRIAL.judge(&mut detector, &[read("user_001", 22 * HOUR)]).len(), 1);
    let found = TRIAL.judge(
        &mut detector,
        &[read("user_001", 9 * DAY + 12 * HOUR), read("user_001", 9 * DAY + 22 * HOUR)],
    );
    assert_eq!(TRIAL.ids(&found), [("off-hours-access", "user_001", (9 * 24 + 17) * 60)]);
    // The state holds what is left, not what was.
    let mut fresh = TRIAL.detector("{}");
    TRIAL.judge(&mut fresh, &[read("user_001", 9 * DAY + 22 * HOUR)]);
    assert_eq!(detector.snapshot(), fresh.snapshot());
}

#[test]
fn a_clock_that_steps_back_tells_nothing_twice() {
    let mut detector = TRIAL.detector("{}");
    assert_eq!(TRIAL.judge(&mut detector, &[read("user_001", 30 * HOUR)]).len(), 1);
    assert!(
        TRIAL.judge(&mut detector, &[read("user_001", 20 * HOUR)]).is_empty(),
        "the same night"
    );
    assert!(TRIAL.judge(&mut detector, &[read("user_001", 31 * HOUR)]).is_empty());
    assert_eq!(
        TRIAL.judge(&mut detector, &[read("user_001", 2 * HOUR)]).len(),
        1,
        "the night before"
    );
    assert!(
        TRIAL
            .judge(&mut detector, &[read("user_001", 32 * HOUR), read("user_001", 3 * HOUR)])
            .is_empty()
    );
}

/// A partition that lags by an hour reports the same night.
#[test]
fn a_partition_that_lags_changes_nothing() {
    let on_time: Vec<Access> =
        (0..60).map(|minute| read("user_001", 18 * HOUR + minute * MINUTE)).collect();
    let lagging: Vec<Access> = (0..60)
        .map(|minute| Access {
            partition: 4,
            ..received("user_001", 17 * HOUR + minute * MINUTE, 17 * HOUR + minute * MINUTE)
        })
        .collect();
    let mixed: Vec<Access> = on_time.into_iter().zip(lagging).flat_map(|(a, b)| [a, b]).collect();
    let found = TRIAL.alerts("{}", &mixed);
    assert_eq!(TRIAL.ids(&found), [("off-hours-access", "user_001", 17 * 60)]);
    // A day late, and the night is not reported again.
    let mut detector = TRIAL.detector("{}");
    TRIAL.judge(&mut detector, &mixed);
    assert!(
        TRIAL.judge(&mut detector, &[received("user_001", 19 * HOUR, DAY + 19 * HOUR)]).is_empty()
    );
}

/// Compared with a plain implementation of the rule: a user and a night with any access has one alert, and one more
/// where an export came after a mere read.
#[test]
fn alerts_are_those_of_the_rule() {
    use std::collections::BTreeMap;
    for seed in 0..50 {
        let mut random = Random(seed);
        let rows: Vec<Access> = (0..200)
            .map(|_| {
                let time = random.below(5 * 24 * 60) as i64 * MINUTE;
                let user = format!("user_{}", random.below(4));
                let row =
                    if random.below(5) == 0 { export(&user, time) } else { read(&user, time) };
                Access { received: Some(6 * DAY), ..row }
            })
            .collect();
        let mut expected: BTreeMap<(String, i64), (bool, bool)> = BTreeMap::new();
        let mut n_expected = 0;
        for row in &rows {
            let time = row.time.unwrap();
            let (day, hour) = (time.div_euclid(DAY), time.rem_euclid(DAY) / HOUR);
            if (9..17).contains(&hour) {
                continue;
            }
            let night = if hour < 9 { day - 1 } else { day };
            let seen = expected.entry((row.user.clone().unwrap(), night)).or_default();
            let is_urgent = row.action == "data_export";
            n_expected += usize::from(!seen.0) + usize::from(seen.0 && is_urgent && !seen.1);
            *seen = (true, seen.1 || is_urgent);
        }
        assert_eq!(TRIAL.alerts("{}", &rows).len(), n_expected, "seed {seed}");
    }
}

/// The year 1 is the zero value of times in Go and .NET, and the night before it is out of range.
#[test]
fn the_first_and_the_last_time_are_times() {
    give_calendar("office", vec![open(9 * HOUR, 17 * HOUR)]);
    let never = r#"{"hours": ["wed 09:00-09:01"], "utc-offset": "+18:00"}"#;
    for config in ["{}", r#"{"calendar": "office"}"#, never] {
        for (time, received) in [(TIME_MIN, MONDAY), (TIME_MIN, TIME_MIN), (TIME_MAX, TIME_MAX)] {
            let row = Access {
                received: Some(received - MONDAY),
                offset: 0,
                ..export("user_001", time - MONDAY)
            };
            let found = TRIAL.alerts(config, &[row]);
            assert_eq!(found.len(), 1, "{config}, {time}");
            assert_eq!(found[0].last_event, time, "{config}");
        }
    }
}
