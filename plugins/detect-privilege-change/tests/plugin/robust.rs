//! Times that lie, come late or come again, and batches of any size.

use crate::common::{CONFIG, Change, START, TRIAL, grant, received, revoke, self_grant};
use audit_detect::testing::{DAY, HOUR, MINUTE, Random, TIME_MAX, TIME_MIN};

/// Changes of many shapes: several actors and resources, late, early and forged times.
pub(crate) fn traffic(seed: u64, n_rows: usize) -> Vec<Change> {
    let mut random = Random(seed);
    let mut now = 0;
    (0..n_rows)
        .map(|index| {
            now += random.below(30) as i64 * MINUTE / 2;
            let shift =
                [0, 0, 0, -30 * MINUTE, -2 * DAY, 3 * HOUR, 400 * DAY][random.below(7) as usize];
            let actor = ["boss", "former", "clerk", "twofold", "stranger", "x", "y"]
                [random.below(7) as usize];
            let kind: fn(&str, i64) -> Change = match random.below(5) {
                0 => self_grant,
                1 | 2 => revoke,
                _ => grant,
            };
            Change {
                received: Some(now),
                offset: index as i64,
                partition: random.below(3) as i32,
                ..kind(actor, now + shift).of(["a", "b", "c"][random.below(3) as usize])
            }
        })
        .collect()
}

#[test]
fn where_batches_end_changes_nothing() {
    let configs =
        [CONFIG, r#"{"roles": "roles", "max-keys": 2}"#, r#"{"roles": "roles", "window": "5m"}"#];
    for (seed, config) in configs.into_iter().enumerate() {
        assert!(TRIAL.batches_of_any_size(config, &traffic(seed as u64, 5_000)).len() > 50);
    }
}

#[test]
fn a_time_ahead_of_kafka_is_cut() {
    for forged in [HOUR, 365 * DAY, i64::MAX / 2] {
        let mut rows = Vec::new();
        for minute in 0..30 {
            rows.push(grant("clerk", minute * MINUTE));
            rows.push(received("clerk", minute * MINUTE + forged, minute * MINUTE));
            rows.push(received("stranger", forged, minute * MINUTE));
        }
        let found = TRIAL.alerts(CONFIG, &rows);
        assert_eq!(found.len(), 2, "{forged}: {found:?}");
        assert!(found.iter().all(|alert| alert.last_event <= START + 35 * MINUTE));
    }
}

#[test]
fn a_forged_past_evicts_nobody_and_hides_nothing() {
    let mut detector = TRIAL.detector(r#"{"roles": "roles", "max-keys": 10}"#);
    assert_eq!(TRIAL.judge(&mut detector, &[grant("clerk", HOUR)]).len(), 1);
    let mut found = Vec::new();
    for day in 1..1_000 {
        found.extend(TRIAL.judge(&mut detector, &[received("stranger", -day * DAY, HOUR)]));
    }
    let n_told = found.iter().filter(|alert| alert.rule == "privilege-change").count();
    assert_eq!(n_told, 999, "each is an hour of its own");
    let n_evicted = found.iter().filter(|alert| alert.rule == "events-evicted").count();
    assert_eq!((n_evicted, found.len()), (1, 1_000), "that most were evicted is reported");
    assert!(TRIAL.judge(&mut detector, &[grant("clerk", HOUR + MINUTE)]).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &[self_grant("stranger", HOUR + MINUTE)]).len(), 1);
}

/// Yesterday comes again, under new offsets and Kafka times: what is reported again has the id that it
/// had, and nothing else is reported.
#[test]
fn a_replayed_day_has_the_same_ids() {
    let day: Vec<Change> = (0..24 * 12)
        .map(|slot| {
            let time = slot * 5 * MINUTE;
            let actor = ["boss", "clerk", "stranger", "former"][slot as usize % 4];
            if slot % 37 == 0 { self_grant(actor, time) } else { grant(actor, time) }
        })
        .collect();
    for later in [0, DAY / 2, 3 * DAY] {
        let config = r#"{"roles": "roles", "max-late": "30d"}"#;
        let mut detector = TRIAL.detector(config);
        let first = TRIAL.judge(&mut detector, &day);
        assert!(first.len() > 40);
        let again: Vec<Change> = day
            .iter()
            .map(|row| Change {
                received: row.time.map(|time| time + DAY + later),
                offset: row.offset + 10_000,
                ..row.clone()
            })
            .collect();
        let second = TRIAL.judge(&mut detector, &again);
        let known = TRIAL.ids(&first);
        assert!(TRIAL.ids(&second).iter().all(|id| known.contains(id)), "{later}: {second:?}");
    }
}

#[test]
fn a_week_of_silence_changes_nothing() {
    let mut detector = TRIAL.detector(CONFIG);
    assert_eq!(TRIAL.judge(&mut detector, &[grant("clerk", 0)]).len(), 1);
    let found =
        TRIAL.judge(&mut detector, &[grant("clerk", 7 * DAY), grant("clerk", 7 * DAY + MINUTE)]);
    assert_eq!(TRIAL.ids(&found), [("privilege-change", "clerk", 7 * 24 * 60)]);
    let mut fresh = TRIAL.detector(CONFIG);
    TRIAL.judge(&mut fresh, &[grant("clerk", 7 * DAY), grant("clerk", 7 * DAY + MINUTE)]);
    assert_eq!(detector.snapshot(), fresh.snapshot(), "nothing is left of the week before");
}

#[test]
fn a_clock_that_steps_back_tells_nothing_twice() {
    let mut detector = TRIAL.detector(CONFIG);
    assert_eq!(TRIAL.judge(&mut detector, &[grant("clerk", 2 * HOUR)]).len(), 1);
    assert!(TRIAL.judge(&mut detector, &[grant("clerk", HOUR + MINUTE)]).is_empty());
    assert!(TRIAL.judge(&mut detector, &[grant("clerk", 2 * HOUR + MINUTE)]).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &[grant("clerk", 0)]).len(), 1, "another hour");
    assert!(TRIAL.judge(&mut detector, &[grant("clerk", MINUTE)]).is_empty());
}

/// A partition that lags by an hour reports the same run, and halves of a loan meet.
#[test]
fn a_partition_that_lags_changes_nothing() {
    let mut detector = TRIAL.detector(CONFIG);
    let on_time = revoke("clerk", 50 * MINUTE).of("x");
    let lagging = Change { partition: 4, ..received("clerk", 10 * MINUTE, 110 * MINUTE).of("x") };
    let found = TRIAL.judge(&mut detector, &[on_time, lagging]);
    assert_eq!(
        TRIAL.ids(&found),
        [("privilege-change", "clerk", 50), ("privilege-change-escalated", "clerk", 50)]
    );
}

/// The year 1 is the zero value of times in Go and .NET.
#[test]
fn the_first_and_the_last_time_are_times() {
    for (time, received) in [(TIME_MIN, START), (TIME_MIN, TIME_MIN), (TIME_MAX, TIME_MAX)] {
        let row = Change { received: Some(received - START), ..grant("clerk", time - START) };
        let found = TRIAL.alerts(CONFIG, &[row]);
        assert_eq!((found.len(), found[0].window_start), (1, time));
    }
}
