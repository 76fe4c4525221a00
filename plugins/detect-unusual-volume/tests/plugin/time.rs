//! Clocks that are wrong, events that are late, and times that are forged: no alert more, none less.

use audit_detect::testing::{DAY, HOUR, MINUTE};
use audit_plugin_sdk::testing;

use crate::common::{Event, TRIAL, days, experienced, judge, office, read, reads, reported};

/// The attack that must be found no matter what happened before: five times as much as usual.
fn attack(hour: i64) -> Vec<Event> {
    reads("user_001", hour * HOUR, 200)
}

const NOON: i64 = 21 * 24 + 12;

#[test]
fn a_forged_future_time_changes_nothing() {
    for ahead in [10 * MINUTE, HOUR, DAY, 365 * DAY, i64::MAX / 2] {
        let mut detector = experienced(&["user_001"]);
        let at = 21 * DAY + 9 * HOUR;
        let forged = Event { time: Some(at.saturating_add(ahead)), ..read("user_001", at) };
        assert_eq!(judge(&mut detector, &[forged]), []);
        // What is usual stays so, and what is not does not.
        let morning =
            days("user_001", 21, 22, |day, hour| if hour < 12 { office(day, hour) } else { 0 });
        assert_eq!(judge(&mut detector, &morning), [], "{ahead} ahead");
        assert_eq!(judge(&mut detector, &attack(NOON)).len(), 1, "{ahead} ahead");
    }
}

/// Events stamped ahead count in the hour in which they came: nobody hides behind them.
#[test]
fn an_attack_stamped_ahead_is_found() {
    let mut detector = experienced(&["user_001"]);
    let forged = attack(NOON).into_iter().map(|row| Event { time: Some(i64::MAX / 2), ..row });
    let alerts = judge(&mut detector, &forged.collect::<Vec<_>>());
    assert!(!alerts.is_empty());
    let hours: Vec<i64> = reported(&alerts).iter().map(|alert| alert.1).collect();
    assert!(hours.iter().all(|hour| (NOON..=NOON + 1).contains(hour)), "{hours:?}");
}

/// Sent to Kafka once more, with its old times, at any time after.
#[test]
fn a_replayed_day_changes_nothing() {
    let day = |received: i64| {
        let again = days("user_001", 21, 22, office).into_iter();
        again.map(move |row| Event { received: Some(received), ..row }).collect::<Vec<_>>()
    };
    for hours_later in [1, 3, 10, 24, 24 * 8] {
        let mut detector = experienced(&["user_001"]);
        assert_eq!(judge(&mut detector, &days("user_001", 21, 22, office)), []);
        let received = 21 * DAY + (17 + hours_later) * HOUR;
        assert_eq!(
            reported(&judge(&mut detector, &day(received))),
            [],
            "{hours_later} hours later"
        );
        let line = testing::take_log().pop().map(|(_, line)| line).unwrap_or_default();
        assert!(line.ends_with("that came later than max-late were not counted"), "{line}");
        let next = 21 + (17 + hours_later) / 24 + 1;
        assert_eq!(reported(&judge(&mut detector, &days("user_001", next, next + 3, office))), []);
        let after = (next + 3) * 24 + 12;
        assert_eq!(judge(&mut detector, &attack(after)).len(), 1, "{hours_later} hours later");
    }
}

#[test]
fn a_week_of_silence_changes_nothing() {
    let mut detector = experienced(&["user_001"]);
    assert_eq!(reported(&judge(&mut detector, &days("user_001", 28, 30, office))), []);
    assert_eq!(judge(&mut detector, &attack(30 * 24 + 12)).len(), 1);
}

/// The producer's clock goes back by an hour and stays there: one hour holds twice its events.
#[test]
fn a_clock_that_steps_back_changes_nothing() {
    for back in [5 * MINUTE, HOUR] {
        let mut detector = experienced(&["user_001"]);
        let rows = days("user_001", 21, 25, office).into_iter().map(|row| {
            let is_after = row.received > Some(21 * DAY + 13 * HOUR + 30 * MINUTE);
            let time = row.time.map(|time| if is_after { time - back } else { time });
            Event { time, ..row }
        });
        assert_eq!(reported(&judge(&mut detector, &rows.collect::<Vec<_>>())), [], "{back} back");
        let rows = attack(25 * 24 + 3).into_iter();
        let rows: Vec<Event> =
            rows.map(|row| Event { time: row.time.map(|time| time - back), ..row }).collect();
        assert!(!judge(&mut detector, &rows).is_empty(), "{back} back");
    }
}

/// The broker's clock goes back as well: hours that are over get events again.
#[test]
fn a_broker_whose_clock_steps_back_mutes_nothing() {
    for back in [HOUR, 6 * HOUR, DAY] {
        let mut detector = experienced(&["user_001"]);
        assert_eq!(reported(&judge(&mut detector, &days("user_001", 21, 24, office))), []);
        // It is late on Wednesday, and the clock shows less.
        let now = 23 * DAY + 16 * HOUR - back;
        let usual: Vec<Event> = reads("user_001", now, 40);
        assert_eq!(reported(&judge(&mut detector, &usual)), []);
        let found = judge(&mut detector, &reads("user_001", now + HOUR, 200));
        assert_eq!(reported(&found)[0].0, "unusual-volume", "{back} back");
        // Hours that were over are not part of history twice.
        assert_eq!(reported(&judge(&mut detector, &days("user_001", 24, 26, office))), []);
    }
}

/// Half of a user's events stand in a partition that is read an hour, or a day, after the other.
#[test]
fn a_partition_that_lags_changes_nothing() {
    let usual = days("user_001", 21, 26, office);
    for lag in [HOUR, 2 * HOUR, DAY] {
        let mut rows: Vec<Event> = usual.clone();
        for (index, row) in rows.iter_mut().enumerate() {
            row.partition = (index % 2) as i32;
        }
        let read_at = |row: &Event| row.received.unwrap_or(0) + i64::from(row.partition) * lag;
        rows.sort_by_key(read_at);
        let mut detector = experienced(&["user_001"]);
        assert_eq!(reported(&judge(&mut detector, &rows)), [], "a lag of {lag}");
        let mut rows = attack(26 * 24 + 12);
        for (index, row) in rows.iter_mut().enumerate() {
            row.partition = (index % 2) as i32;
        }
        rows.sort_by_key(read_at);
        let found = judge(&mut detector, &rows);
        assert_eq!(found.len(), 1, "a lag of {lag}");
    }
}

/// A partition with all events of a user may be read as late as it likes.
#[test]
fn a_user_whose_partition_is_a_week_behind_is_judged_as_ever() {
    let mut detector = experienced(&["user_001", "user_002"]);
    assert_eq!(reported(&judge(&mut detector, &days("user_002", 21, 28, office))), []);
    assert_eq!(reported(&judge(&mut detector, &days("user_001", 21, 22, office))), []);
    let found = judge(&mut detector, &attack(21 * 24 + 18));
    assert_eq!(reported(&found)[0].0, "unusual-volume");
}

#[test]
fn late_events_count_where_they_belong() {
    let night = 21 * DAY + 3 * HOUR;
    let late = |by: i64| -> Vec<Event> {
        let rows = reads("user_001", night + 10 * MINUTE, 20).into_iter();
        rows.map(|row| Event { received: row.time.map(|time| time + by), ..row }).collect()
    };
    for (by, expected) in [(HOUR, 1), (2 * HOUR, 1), (2 * HOUR + 1, 0)] {
        let mut detector = experienced(&["user_001"]);
        assert_eq!(judge(&mut detector, &reads("user_001", night, 20)), []);
        assert_eq!(judge(&mut detector, &reads("user_001", night + HOUR, 20)), []);
        let alerts = judge(&mut detector, &late(by));
        assert_eq!(alerts.len(), expected, "{by} late");
        assert!(
            alerts.iter().all(
                |alert| (alert.window_start, alert.count) == (crate::common::START + night, 30)
            )
        );
    }
    let mut strict = TRIAL.detector(r#"{"max-late": "0s", "fallback": 30}"#);
    assert_eq!(judge(&mut strict, &[late(1), reads("user_001", night, 30)].concat()), []);
}

/// Events that claim to be old must not push out what is known of others, or of their own user.
#[test]
fn forged_past_times_change_nothing() {
    let mut detector = experienced(&["user_001"]);
    let state = detector.snapshot();
    let at = 21 * DAY;
    let forged = |user: &str, back: i64| Event { time: Some(at - back), ..read(user, at) };
    let rows: Vec<Event> = (0..5_000)
        .flat_map(|index| {
            let back = 3 * HOUR + index * HOUR;
            [
                forged("user_001", back),
                forged(&format!("made_up_{index}"), back),
                forged("x", i64::MAX / 2),
            ]
        })
        .collect();
    assert_eq!(judge(&mut detector, &rows), []);
    assert_eq!(detector.snapshot(), state);
}
