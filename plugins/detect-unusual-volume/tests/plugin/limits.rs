//! How much is unusual, and what an alert says.

use audit_detect::testing::{DAY, HOUR, MINUTE, Random, SECOND};
use audit_plugin_sdk::{Alert, Position, Severity, testing};

use crate::common::{
    Event, START, TRIAL, days, experienced, judge, judge_by, office, read, reads, reported,
};

/// The count at which the reads of an hour raise the first alert, and that limit by the alert.
fn first_alert(config: &str, history: &[Event], hour: i64) -> Option<Alert> {
    let mut detector = TRIAL.detector(config);
    assert_eq!(reported(&judge(&mut detector, history)), []);
    judge(&mut detector, &reads("user_001", hour * HOUR, 3_600)).into_iter().next()
}

fn label<'a>(alert: &'a Alert, name: &str) -> Option<&'a str> {
    alert.labels.iter().find(|label| label.name == name).map(|label| &*label.value)
}

#[test]
fn the_limit_is_that_of_the_modified_z_score() {
    // Every comparable hour of 21 days is known: on each day one of 10, 20 and 30, at any hour.
    let of_day = [10, 20, 30];
    let history = days("user_001", 0, 21, |day, _| of_day[(day % 3) as usize]);
    let alert = first_alert(r#"{"ratio": 1}"#, &history, 21 * 24 + 12).expect("an alert");
    // The median is 20; of 63 deviations 21 are 0 and 42 are 10: their median is 10, their mean 6.67.
    let limit = (20.0_f64 + 3.5 * 10.0 / 0.6745).floor();
    assert!((limit - 71.0).abs() < 1e-9, "{limit}");
    assert_eq!((label(&alert, "limit"), label(&alert, "usual")), (Some("71"), Some("20")));
    assert_eq!(alert.count, 72);
    let stricter = first_alert(r#"{"ratio": 1, "score": 2}"#, &history, 21 * 24 + 12);
    assert_eq!(stricter.expect("an alert").count, 20 + (20.0 / 0.6745) as u64 + 1);
}

#[test]
fn where_the_median_deviation_is_nothing_the_mean_one_decides() {
    // 200 on every seventh day: 6 of 42 comparable hours, so that most deviations are 0.
    let history = days("user_001", 0, 14, |day, _| if day % 7 == 0 { 200 } else { 0 });
    let alert = first_alert(r#"{"ratio": 1}"#, &history, 14 * 24 + 12).expect("an alert");
    assert_eq!(label(&alert, "usual"), Some("0"));
    let limit = (3.5 * 1.253_314 * 200.0 * 6.0 / 42.0_f64).floor() as u64;
    assert_eq!(alert.count, limit + 1);
}

#[test]
fn where_all_hours_are_alike_the_floor_is_added() {
    let history = days("user_001", 0, 21, |_, _| 100);
    let alert = |config| first_alert(config, &history, 21 * 24 + 12).expect("an alert").count;
    // 100 is kept as 100: 25 times 4.
    assert_eq!(alert(r#"{"ratio": 1}"#), 130);
    assert_eq!(alert(r#"{"ratio": 1, "floor": 50}"#), 150);
    assert_eq!(alert("{}"), 251, "2.5 times the median");
}

#[test]
fn few_events_are_never_unusual() {
    let history = days("user_001", 0, 21, |_, hour| u32::from(hour == 12) * 3);
    let alert = |config| first_alert(config, &history, 21 * 24 + 3).expect("an alert").count;
    assert_eq!(alert("{}"), 30);
    assert_eq!(alert(r#"{"floor": 5}"#), 5);
    assert_eq!(alert(r#"{"floor": 2}"#), 2);
}

#[test]
fn hours_without_events_count_as_none() {
    // By night the same user is used to nothing.
    let mut detector = experienced(&["user_001"]);
    let night = judge(&mut detector, &reads("user_001", 21 * DAY + 3 * HOUR, 60));
    assert_eq!(reported(&night), [("unusual-volume", 21 * 24 + 3, 30)]);
    let noon = judge(&mut detector, &reads("user_001", 21 * DAY + 12 * HOUR, 60));
    assert_eq!(reported(&noon), []);
}

#[test]
fn neighbouring_hours_are_comparable() {
    let mut detector = experienced(&["user_001"]);
    // An hour before and after work, as when the clocks change.
    assert_eq!(reported(&judge(&mut detector, &reads("user_001", 21 * DAY + 8 * HOUR, 45))), []);
    assert_eq!(reported(&judge(&mut detector, &reads("user_001", 21 * DAY + 17 * HOUR, 45))), []);
    let two_before = judge(&mut detector, &reads("user_001", 22 * DAY + 7 * HOUR, 45));
    assert_eq!(two_before.len(), 1);
}

#[test]
fn while_history_is_short_the_fixed_limit_is_the_least() {
    let mut young = TRIAL.detector("{}");
    // What is usual on the first days is below the fixed limit, and what a service does soon is not.
    assert_eq!(judge(&mut young, &days("user_001", 0, 13, office)), []);
    let alerts = judge(&mut young, &reads("user_001", 13 * DAY + 12 * HOUR, 300));
    assert_eq!(reported(&alerts), [("unusual-volume", 13 * 24 + 12, 201)]);
    assert_eq!(label(&alerts[0], "basis"), Some("short-history"));
    assert_eq!(label(&alerts[0], "usual"), None);
    assert!(alerts[0].message.contains("with less than 14d of history"), "{}", alerts[0].message);
    // One day later, at the same hour, it is known well enough.
    let alerts = judge(&mut young, &reads("user_001", 15 * DAY + 12 * HOUR, 300));
    assert_eq!(label(&alerts[0], "basis"), Some("history"));
    assert!(alerts[0].count < 150, "{:?}", reported(&alerts));
}

#[test]
fn a_busy_service_is_known_after_a_day() {
    let mut detector = TRIAL.detector("{}");
    let alerts = judge(&mut detector, &days("user_001", 0, 30, |_, _| 1_000));
    let last = alerts.iter().map(|alert| (alert.window_start - START) / HOUR).max();
    assert!(last < Some(26), "{last:?}");
    let n_reported = reported(&judge(&mut detector, &reads("user_001", 30 * DAY, 3_600))).len();
    assert_eq!(n_reported, 1, "2.5 times as much is unusual then");
}

#[test]
fn each_action_of_each_user_counts_for_itself() {
    let mut detector = experienced(&["user_001"]);
    let others = (0..29).flat_map(|index| {
        let at = 21 * DAY + 3 * HOUR + index * SECOND;
        let other = |action| Event { action, ..read("user_001", at) };
        let logins = (0..9).map(move |_| Event { action: "user_login", ..read("user_001", at) });
        [other("data_read"), other("data_export"), other("data_delete"), read("user_002", at)]
            .into_iter()
            .chain(logins)
    });
    let others: Vec<Event> = others.collect();
    assert_eq!(judge(&mut detector, &others), []);
    let alerts = judge(&mut detector, &[read("user_001", 21 * DAY + 3 * HOUR + 30 * MINUTE)]);
    assert_eq!(reported(&alerts), [("unusual-volume", 21 * 24 + 3, 30)]);
}

#[test]
fn an_alert_says_what_happened() {
    let mut detector = experienced(&["user_001"]);
    let hour = 21 * DAY + 12 * HOUR;
    let alerts = judge(&mut detector, &reads("user_001", hour + MINUTE, 200));
    let [alert] = alerts.as_slice() else {
        panic!("{alerts:?}");
    };
    assert_eq!((&*alert.rule, alert.severity), ("unusual-volume", Severity::Medium));
    let key: Vec<_> = alert.key.iter().map(|field| (&*field.name, &*field.value)).collect();
    assert_eq!(key, [("user_id", "user_001"), ("action_type", "data_read")]);
    let limit: u64 = label(alert, "limit").and_then(|limit| limit.parse().ok()).expect("a limit");
    assert_eq!(alert.count, limit + 1, "at the event that passes the limit");
    let usual = label(alert, "usual").expect("a median");
    assert!(usual.parse::<f64>().is_ok_and(|usual| (30.0..45.0).contains(&usual)), "{usual}");
    assert_eq!(label(alert, "attack"), Some("T1213"));
    assert_eq!(alert.window_start, START + hour);
    assert_eq!(alert.first_event, START + hour + MINUTE);
    let last = hour + MINUTE + limit as i64 * 18 * SECOND;
    assert_eq!(alert.last_event, START + last);
    let newest: Vec<Position> = (0..10)
        .rev()
        .map(|index| Position { partition: 3, offset: last / SECOND - index * 18 })
        .collect();
    assert_eq!(alert.events, newest);
    let expected = format!(
        "{} data_read events of one user within an hour, where up to {limit} are",
        limit + 1
    );
    assert!(alert.message.starts_with(&expected), "{}", alert.message);
    assert!(!alert.message.contains("user_001"));
}

#[test]
fn an_hour_is_told_once_and_once_more_when_it_is_urgent() {
    for batch_rows in [1, 7, 4_096] {
        let mut detector = experienced(&["user_001"]);
        let rows = reads("user_001", 21 * DAY + 3 * HOUR, 3_600);
        let alerts = judge_by(&mut detector, &rows, batch_rows);
        let night = 21 * 24 + 3;
        let expected =
            [("unusual-volume", night, 30), ("unusual-volume-escalated", night, 3 * 29 + 1)];
        assert_eq!(reported(&alerts), expected);
        assert_eq!(alerts[1].severity, Severity::High);
        assert_eq!(alerts[1].events.len(), 10);
        // The next hour is another matter.
        let rows = reads("user_001", 21 * DAY + 4 * HOUR, 31);
        assert_eq!(reported(&judge(&mut detector, &rows)), [("unusual-volume", night + 1, 30)]);
    }
    let mut urgent = TRIAL.detector(r#"{"high-ratio": 1, "fallback": 50}"#);
    let alerts = judge(&mut urgent, &reads("user_001", 0, 100));
    assert_eq!(reported(&alerts), [("unusual-volume", 0, 51)]);
    assert_eq!(alerts[0].severity, Severity::High);
}

/// Five times as much as usual, day after day: it is unusual for more than a week, by which time it was
/// reported more than forty times.
#[test]
fn an_attack_does_not_become_usual_fast() {
    let mut detector = experienced(&["user_001"]);
    let alerts = judge(&mut detector, &days("user_001", 21, 42, |day, hour| office(day, hour) * 5));
    let first = alerts.iter().filter(|alert| alert.rule == "unusual-volume");
    let days: Vec<i64> = first.map(|alert| (alert.window_start - START) / DAY).collect();
    let of_day = |day| days.iter().filter(|&&other| other == day).count();
    let by_day: Vec<usize> = (21..42).filter(|day| day % 7 < 5).map(of_day).collect();
    assert_eq!(by_day[..4], [8; 4], "{by_day:?}");
    assert!(by_day[..7].iter().all(|&n_hours| n_hours >= 5), "{by_day:?}");
}

/// Somebody who comes back from weeks of holiday has done nothing wrong.
#[test]
fn holidays_are_not_unusual() {
    for n_days in [1, 7, 11, 16, 23, 40] {
        let mut detector = experienced(&["user_001"]);
        let back = 21 + n_days;
        let alerts = judge(&mut detector, &days("user_001", back, back + 30, office));
        assert_eq!(reported(&alerts), [], "{n_days} days away");
    }
}

#[test]
fn e_mail_addresses_are_masked() {
    let rows = reads("alice@example.com", 0, 201);
    let alerts = judge(&mut TRIAL.detector("{}"), &rows);
    let user = &alerts[0].key[0].value;
    assert!(user.starts_with("a***@example.com#"), "{user}");
    assert!(!format!("{alerts:?}").contains("alice"));
    let alerts = judge(&mut TRIAL.detector(r#"{"show-email": true}"#), &rows);
    assert_eq!(alerts[0].key[0].value, "alice@example.com");
}

#[test]
fn rows_that_cannot_be_counted_are_told_to_the_log() {
    let mut detector = TRIAL.detector(r#"{"floor": 2, "fallback": 2, "ignore-users": ["backup"]}"#);
    let no_user = Event { user: None, ..read("a", 0) };
    let no_time = Event { time: None, ..read("a", 0) };
    let no_kafka_time = Event { received: None, ..read("a", 0) };
    let no_clock =
        Event { received: Some(i64::MAX - START), time: Some(i64::MAX - START), ..read("a", 0) };
    let mut rows = vec![no_user, no_time, no_kafka_time, no_clock, read("a", 0)];
    rows.extend(reads("backup", 0, 50));
    assert_eq!(judge(&mut detector, &rows), []);
    let log = testing::take_log();
    let [(_, line)] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert_eq!(line, "4 events without user or time were not counted");
}

/// Any rows in any order: the same alerts with any batches.
#[test]
fn batches_change_nothing() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut rows = Vec::new();
        for hour in 0..600 {
            let is_burst = random.below(9) == 0;
            let n_users = if is_burst { 1 } else { 4 };
            for _ in 0..random.below(40) {
                let shift =
                    [0, 0, 0, 0, -HOUR, -3 * HOUR, HOUR, 40 * DAY][random.below(8) as usize];
                let received = hour * HOUR + random.below(3_600) as i64 * SECOND;
                let user = ["a", "b", "c", "d"][random.below(n_users) as usize];
                let partition = random.below(3) as i32;
                let time = Some(received + shift);
                rows.push(Event { time, partition, ..read(user, received) });
            }
        }
        let config =
            r#"{"floor": 9, "fallback": 12, "history": "7d", "history-min": "3d", "max-keys": 3}"#;
        let expected = judge_by(&mut TRIAL.detector(config), &rows, 4_096);
        for rule in ["unusual-volume", "state-evicted"] {
            assert!(expected.iter().any(|alert| alert.rule == rule), "seed {seed} has no {rule}");
        }
        for batch_rows in [1, 7, 1_000] {
            let alerts = judge_by(&mut TRIAL.detector(config), &rows, batch_rows);
            assert_eq!(alerts, expected, "seed {seed}, batches of {batch_rows}");
        }
    }
}
