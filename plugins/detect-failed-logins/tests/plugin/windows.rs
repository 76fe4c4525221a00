//! Which failures raise an alert, and what it says.

use crate::common::{Login, TRIAL, failure, judge_singly, received};
use audit_detect::testing::{DAY, HOUR, MINUTE, Random, SECOND, START};
use audit_plugin_sdk::testing::take_log;
use audit_plugin_sdk::{Position, Severity};

/// Failures at these minutes, from one address.
fn at_minutes(minutes: &[i64]) -> Vec<Login> {
    minutes.iter().map(|minute| failure("203.0.113.45", minute * MINUTE)).collect()
}

#[test]
fn the_number_of_alerts() {
    let cases: &[(&str, &[i64], usize)] = &[
        ("five are allowed", &[0, 1, 2, 3, 4], 0),
        ("six are not", &[0, 1, 2, 3, 4, 5], 1),
        ("the window is half open", &[0, 10, 20, 30, 40, 60], 0),
        ("one minute less", &[0, 10, 20, 30, 40, 59], 1),
        ("a span in the middle", &[0, 50, 51, 52, 53, 70, 71], 1),
        ("slow and steady", &[0, 12, 24, 36, 48, 60, 72, 84, 96, 108, 120], 0),
        ("out of order", &[59, 3, 40, 1, 20, 0], 1),
        ("all at the same time", &[7; 6], 1),
        ("one alert a window", &[0, 1, 2, 3, 4, 5, 6, 7, 30, 40, 50, 59], 1),
        ("the next window counts anew", &[0, 1, 2, 3, 4, 5, 60, 61, 62, 63, 64, 65], 2),
        ("what was reported does not count again", &[0, 1, 2, 3, 4, 5, 58, 59, 60, 61, 62], 1),
        ("what comes late and just before is the same", &[9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6], 1),
        ("a late burst a window before", &[61, 61, 61, 61, 61, 61, 0, 0, 0, 0, 0, 1], 2),
        ("a late burst long before", &[70, 71, 72, 73, 74, 75, 1, 2, 3, 4, 5, 6], 2),
    ];
    for (name, minutes, n_alerts) in cases {
        let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &at_minutes(minutes));
        let bursts = alerts.iter().filter(|alert| alert.rule == "failed-logins");
        assert_eq!(bursts.count(), *n_alerts, "{name}");
    }
}

#[test]
fn only_failed_logins_count() {
    let other_action = Login { action: "data_read", ..failure("a", 0) };
    let success = Login { result: "success", ..failure("a", 0) };
    let longer = Login { result: "failures", ..failure("a", 0) };
    for login in [other_action, success, longer] {
        assert!(
            TRIAL.judge(&mut TRIAL.detector("{}"), &vec![login.clone(); 20]).is_empty(),
            "{login:?}"
        );
    }
    let addresses: Vec<Login> =
        (0..20).map(|index| failure(&format!("10.0.0.{}", index % 4), index)).collect();
    assert!(TRIAL.judge(&mut TRIAL.detector("{}"), &addresses).is_empty(), "five each");
    let config =
        r#"{"actions": ["user_login", "mfa"], "results": ["denied", "failure"], "threshold": 1}"#;
    let mfa = Login { action: "mfa", result: "denied", ..failure("a", 0) };
    assert_eq!(TRIAL.judge(&mut TRIAL.detector(config), &[mfa, failure("a", 1)]).len(), 1);
}

#[test]
fn an_alert_says_what_happened() {
    let mut logins = at_minutes(&[0, 10, 20, 30, 40, 50, 55]);
    logins[1].user = "user_002";
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    let [alert] = alerts.as_slice() else {
        panic!("{alerts:?}");
    };
    assert_eq!(alert.rule, "failed-logins");
    assert_eq!(alert.severity, Severity::Medium);
    assert_eq!(
        (alert.key[0].name.as_str(), alert.key[0].value.as_str()),
        ("ip_address", "203.0.113.45")
    );
    // As of the sixth failure: what came after it is counted and not reported.
    assert_eq!(
        (alert.window_start, alert.first_event, alert.last_event),
        (START, START, START + 50 * MINUTE)
    );
    assert_eq!(alert.count, 6);
    let positions: Vec<i64> = alert.events.iter().map(|event| event.offset).collect();
    assert_eq!(positions, [0, 600, 1200, 1800, 2400, 3000]);
    assert_eq!(alert.events[0], Position { partition: 3, offset: 0 });
    let labels: Vec<(&str, &str)> =
        alert.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("attack", "T1110.001"), ("distinct-users", "2")]);
    assert!(
        alert
            .message
            .starts_with("6 failed logins from one address within 1h, more than 5 allowed")
    );
    assert!(!alert.message.contains("203."));
}

#[test]
fn a_fast_burst_is_urgent_at_its_tenth_failure() {
    let reported = |minutes: &[i64]| -> Vec<(String, Severity, u64)> {
        let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &at_minutes(minutes));
        alerts.into_iter().map(|alert| (alert.rule, alert.severity, alert.count)).collect()
    };
    let medium = ("failed-logins".to_owned(), Severity::Medium, 6);
    let high = ("failed-logins-escalated".to_owned(), Severity::High, 10);
    let fast: Vec<i64> = (0..10).collect();
    assert_eq!(reported(&fast), [medium.clone(), high]);
    assert_eq!(reported(&fast[..9]).len(), 1, "nine");
    let slower: Vec<i64> = (0..9).chain([10]).collect();
    assert_eq!(reported(&slower), [medium], "ten in ten minutes, half open");
    // Where the threshold lies higher, the first alert is urgent.
    let logins = at_minutes(&[0; 21]);
    let alerts = TRIAL.judge(&mut TRIAL.detector(r#"{"threshold": 20}"#), &logins);
    assert_eq!((alerts.len(), &*alerts[0].rule), (1, "failed-logins"));
    assert_eq!((alerts[0].severity, alerts[0].count), (Severity::High, 21));
}

#[test]
fn a_burst_that_grows_is_told_once_more() {
    let minutes: Vec<i64> = (0..50).collect();
    let alerts = judge_singly(&mut TRIAL.detector("{}"), &at_minutes(&minutes));
    let reported: Vec<(&str, Severity, u64)> =
        alerts.iter().map(|a| (&*a.rule, a.severity, a.count)).collect();
    let expected =
        [("failed-logins", Severity::Medium, 6), ("failed-logins-escalated", Severity::High, 10)];
    assert_eq!(reported, expected);
    assert_eq!(alerts[0].window_start, alerts[1].window_start);
}

#[test]
fn an_alert_cites_a_hundred_events_and_counts_all() {
    let logins: Vec<Login> = (0..5_000).map(|second| failure("a", second * SECOND / 10)).collect();
    let logins: Vec<Login> = logins
        .into_iter()
        .enumerate()
        .map(|(offset, login)| Login { offset: offset as i64, ..login })
        .collect();
    let alerts = TRIAL.judge(&mut TRIAL.detector(r#"{"threshold": 500}"#), &logins);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].count, 501);
    let offsets: Vec<i64> = alerts[0].events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, (401..501).collect::<Vec<i64>>());
}

/// The events' own clock is not believed beyond the Kafka time: one far ahead neither hides the
/// others nor opens a window there.
#[test]
fn a_forged_future_time_silences_nothing() {
    for forged in [HOUR, 2 * HOUR, 365 * DAY, i64::MAX / 2] {
        let mut logins = Vec::new();
        for minute in 0..6 {
            logins.push(failure("a", minute * MINUTE));
            logins.push(received("b", minute * MINUTE + forged, minute * MINUTE));
            logins.push(received("a", forged, minute * MINUTE));
        }
        let alerts = judge_singly(&mut TRIAL.detector("{}"), &logins);
        let mut keys: Vec<&str> = alerts
            .iter()
            .filter(|alert| alert.rule == "failed-logins")
            .map(|alert| alert.key[0].value.as_str())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b"], "{forged}");
        for alert in &alerts {
            assert!(alert.last_event <= START + 10 * MINUTE, "{alert:?}");
        }
    }
    let config = r#"{"max-future": "0s", "threshold": 1, "window": "10s"}"#;
    let logins = [received("a", HOUR, 0), received("a", 2 * HOUR, 5 * SECOND)];
    assert_eq!(TRIAL.judge(&mut TRIAL.detector(config), &logins).len(), 1);
}

#[test]
fn late_events_count_where_they_belong() {
    let on_time = at_minutes(&[0, 1, 2]);
    let later: Vec<Login> =
        (3..6).map(|minute| received("203.0.113.45", minute * MINUTE, 110 * MINUTE)).collect();
    let mut detector = TRIAL.detector("{}");
    assert!(TRIAL.judge(&mut detector, &on_time).is_empty());
    assert!(TRIAL.judge(&mut detector, &[failure("other", 100 * MINUTE)]).is_empty());
    let alerts = TRIAL.judge(&mut detector, &later);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].window_start, START);
}

#[test]
fn rows_without_address_or_time_are_counted_apart() {
    let mut detector = TRIAL.detector(r#"{"threshold": 1}"#);
    let no_address = Login { address: None, ..failure("a", 0) };
    let no_time = Login { time: None, ..failure("a", 0) };
    let no_kafka_time = Login { received: None, ..failure("a", 0) };
    let logins = [no_address, no_time, no_kafka_time, failure("a", 0)];
    assert!(TRIAL.judge(&mut detector, &logins).is_empty());
    let (_, line) = &take_log()[0];
    assert!(line.starts_with("3 logins without address or time"), "{line}");
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let mut detector = TRIAL.detector(r#"{"threshold": 1}"#);
    let long = "é".repeat(400);
    let alerts = TRIAL.judge(&mut detector, &[failure(&long, 0), failure(&long, 1)]);
    assert_eq!(alerts[0].key[0].value, "é".repeat(64));
    let odd = format!("x{long}");
    let alerts = TRIAL.judge(&mut detector, &[failure(&odd, 0), failure(&odd, 1)]);
    assert_eq!(alerts[0].key[0].value, format!("x{}", "é".repeat(63)));
}

/// Compared with a plain implementation of the rule: every span that holds too many failures touches the window of
/// an alert or lies less than a window before it, every window holds too many, and no two windows of alerts in order overlap.
#[test]
fn any_order_of_any_failures_alerts_as_the_rule_says() {
    let window = 10 * MINUTE;
    let config = r#"{"threshold": 3, "window": "10m", "high-window": "1s", "high-count": 1000}"#;
    for seed in 0..300 {
        let mut random = Random(seed);
        let n_failures = 1 + random.below(40) as usize;
        let spread = 1 + random.below(60) as i64;
        let logins: Vec<Login> = (0..n_failures)
            .map(|_| received("a", random.below(spread as u64) as i64 * MINUTE, HOUR))
            .collect();
        let alerts = TRIAL.judge(&mut TRIAL.detector(config), &logins);
        let mut times: Vec<i64> =
            logins.iter().filter_map(|login| login.time).map(|time| START + time).collect();
        times.sort_unstable();
        let starts: Vec<i64> = alerts.iter().map(|alert| alert.window_start).collect();
        for span in times.windows(4).filter(|span| span[3] - span[0] < window) {
            let touches = |start: &i64| span.iter().any(|time| (time - start).abs() < window);
            assert!(starts.iter().any(touches), "seed {seed}: {span:?} is in none of {starts:?}");
        }
        for start in &starts {
            let n_inside =
                times.iter().filter(|time| (*start..start + window).contains(time)).count();
            assert!(n_inside > 3, "seed {seed}: window {start} holds {n_inside}");
            assert_eq!(starts.iter().filter(|other| *other == start).count(), 1, "seed {seed}");
        }
    }
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let cases = [
        (r#"{"treshold": 5}"#, "treshold", "unknown field"),
        (r#"{"threshold": 0}"#, "threshold", "0 is not in the range 1 to 999"),
        (r#"{"threshold": 1000}"#, "threshold", "1000 is not in the range"),
        (r#"{"window": "0s"}"#, "window", "0s is not in the range 1s to 30d"),
        (r#"{"window": "31d"}"#, "window", "31d is not in the range"),
        (r#"{"window": 3600}"#, "window", "a whole number and a unit"),
        (r#"{"max-future": "2d"}"#, "max-future", "2d is not in the range 0s to 1d"),
        (r#"{"max-keys": 0}"#, "max-keys", "not in the range"),
        (r#"{"max-keys": 1000001}"#, "max-keys", "not in the range 1 to 1000000"),
        (r#"{"state-bytes-max": 1000}"#, "state-bytes-max", "not in the range 1048576"),
        (r#"{"high-count": 0}"#, "high-count", "0 is not in the range 1 to 1000"),
        (r#"{"high-window": "3650d"}"#, "high-window", "3650d is not in the range 1s to 30d"),
        (r#"{"spray-users": 1}"#, "spray-users", "1 is not in the range 2 to 250"),
        (r#"{"spray-users": -5}"#, "spray-users", "invalid value"),
        (r#"{"spray-window": "0s"}"#, "spray-window", "0s is not in the range 1s to 30d"),
        (r#"{"after-attack": "8d"}"#, "after-attack", "8d is not in the range 0s to 7d"),
        (r#"{"ipv6-prefix": 129}"#, "ipv6-prefix", "129 is not in the range 16 to 128"),
        (r#"{"success-results": []}"#, "success-results", "an empty list"),
        (r#"{"success-results": ["ok", "failure"]}"#, "success-results", "\"failure\" is among"),
        (r#"{"actions": []}"#, "actions", "an empty list"),
        (r#"{"results": [1]}"#, "results[0]", "invalid type"),
    ];
    TRIAL.wrong_configurations(&cases);
}

#[test]
fn a_missing_column_is_a_fault() {
    TRIAL.missing_columns("{}", &[failure("a", 0)]);
}
