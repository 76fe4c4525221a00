//! Which addresses raise an alert, and what it says.

use audit_detect::testing::{MINUTE, Random, SECOND, START, rules};
use audit_plugin_sdk::Severity;

use crate::common::{Seen, TRIAL, at, seen};

#[test]
fn the_number_of_alerts() {
    type Minutes = &'static [(i64, u8)];
    let cases: &[(&str, Minutes, usize)] = &[
        ("two are allowed", &[(0, 1), (1, 2), (2, 1), (3, 2)], 0),
        ("three are not", &[(0, 1), (1, 2), (2, 3)], 1),
        ("the window is half open", &[(0, 1), (30, 2), (60, 3)], 0),
        ("one minute less", &[(0, 1), (30, 2), (59, 3)], 1),
        ("the first comes back", &[(0, 1), (50, 2), (61, 3), (65, 1)], 1),
        ("out of order", &[(59, 3), (0, 1), (30, 2)], 1),
        ("all at once", &[(7, 1), (7, 2), (7, 3)], 1),
        ("one alert a window", &[(0, 1), (1, 2), (2, 3), (3, 4), (59, 5)], 1),
        ("the next window", &[(0, 1), (1, 2), (2, 3), (60, 1), (61, 2), (62, 3)], 2),
        ("late and just before", &[(9, 1), (9, 2), (9, 3), (1, 1), (1, 2), (1, 3)], 1),
        ("moving on", &[(0, 1), (61, 2), (122, 3), (183, 4)], 0),
    ];
    for (name, minutes, n_alerts) in cases {
        assert_eq!(TRIAL.alerts("{}", &at(minutes)).len(), *n_alerts, "{name}");
    }
    let five = at(&[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
    assert!(TRIAL.alerts(r#"{"addresses": 5}"#, &five).is_empty());
    assert_eq!(TRIAL.alerts(r#"{"addresses": 4}"#, &five).len(), 1);
}

#[test]
fn an_alert_says_what_happened() {
    let mut rows = at(&[(0, 1), (5, 1), (10, 2), (20, 3), (21, 4)]);
    for row in &mut rows {
        row.user = Some("user_017".to_owned());
    }
    let found = TRIAL.alerts("{}", &rows);
    let [alert] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*alert.rule, alert.severity, alert.count), ("ip-spread", Severity::Medium, 3));
    assert_eq!((&*alert.key[0].name, &*alert.key[0].value), ("user_id", "user_017"));
    let times = (alert.window_start, alert.first_event, alert.last_event);
    assert_eq!(times, (START, START, START + 20 * MINUTE));
    let offsets: Vec<i64> = alert.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 300, 600, 1_200]);
    let labels: Vec<(&str, &str)> =
        alert.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    let expected = [("attack", "T1078"), ("attack-also", "T1550.004"), ("distinct-addresses", "3")];
    assert_eq!(labels, expected);
    assert!(
        alert.message.starts_with("one user was active from 3 addresses within 1h, more than 2")
    );
    assert!(!alert.message.contains("203.") && !alert.message.contains("017"));
}

#[test]
fn a_user_that_is_an_e_mail_address_is_masked() {
    let rows: Vec<Seen> = at(&[(0, 1), (1, 2), (2, 3)])
        .into_iter()
        .map(|seen| Seen { user: Some("alice@example.com".to_owned()), ..seen })
        .collect();
    let shown = |config: &str| TRIAL.alerts(config, &rows)[0].key[0].value.clone();
    assert!(shown("{}").starts_with("a***@example.com#"));
    assert_eq!(shown(r#"{"show-email": true}"#), "alice@example.com");
}

#[test]
fn users_are_apart_and_only_what_succeeded_counts() {
    let mut rows = at(&[(0, 1), (1, 2), (2, 3)]);
    rows[2].user = Some("v".to_owned());
    assert!(TRIAL.alerts("{}", &rows).is_empty());
    let mut rows = at(&[(0, 1), (1, 2), (2, 3)]);
    rows[1].result = "failure";
    assert!(TRIAL.alerts("{}", &rows).is_empty());
    assert_eq!(TRIAL.alerts(r#"{"results": []}"#, &rows).len(), 1);
    assert_eq!(TRIAL.alerts(r#"{"results": ["success", "failure"]}"#, &rows).len(), 1);
    rows[1].result = "success";
    assert!(TRIAL.alerts(r#"{"actions": ["user_login"]}"#, &rows).is_empty());
    assert_eq!(TRIAL.alerts(r#"{"actions": ["user_login", "data_read"]}"#, &rows).len(), 1);
    for lost in [0, 1, 2] {
        let mut rows = rows.clone();
        match lost {
            0 => rows[1].user = None,
            1 => rows[1].address = None,
            _ => rows[1].time = None,
        }
        assert!(TRIAL.alerts("{}", &rows).is_empty());
    }
}

#[test]
fn columns_without_a_filter_are_not_asked_for() {
    let reads = |config: &str| TRIAL.detector(config).reads().to_vec();
    assert!(reads("{}").contains(&"action_result".to_owned()));
    assert!(!reads("{}").contains(&"action_type".to_owned()));
    assert!(!reads(r#"{"results": []}"#).contains(&"action_result".to_owned()));
    assert!(reads(r#"{"actions": ["a"]}"#).contains(&"action_type".to_owned()));
}

fn from(addresses: [&str; 3], config: &str) -> usize {
    let rows: Vec<Seen> =
        (0..).zip(addresses).map(|(at, address)| seen("u", address, at)).collect();
    TRIAL.alerts(config, &rows).len()
}

#[test]
fn addresses_of_one_network_are_one() {
    let hosts = ["2001:db8::1", "2001:db8::2", "2001:db8::3"];
    assert_eq!(from(hosts, "{}"), 0);
    assert_eq!(from(hosts, r#"{"ipv6-prefix": 128}"#), 1);
    let networks = ["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"];
    assert_eq!(from(networks, "{}"), 1);
    assert_eq!(from(networks, r#"{"ipv6-prefix": 48}"#), 0);
    assert_eq!(from(["1.2.3.4", "::ffff:1.2.3.4", "5.6.7.8"], "{}"), 0);
    assert_eq!(from(["tok_a", "tok_b", "tok_c"], "{}"), 1, "tokens are addresses as they are");
    assert_eq!(from(["tok_a", "tok_b", "tok_a"], "{}"), 0);
}

#[test]
fn ignored_networks_do_not_count() {
    let office = ["203.0.113.7", "203.0.113.8", "198.51.100.1"];
    assert_eq!(from(office, "{}"), 1);
    assert_eq!(from(office, r#"{"ignore-networks": ["203.0.113.0/24"]}"#), 0);
    assert_eq!(from(office, r#"{"ignore-networks": ["203.0.113.7"]}"#), 0);
    assert_eq!(from(office, r#"{"ignore-networks": ["203.0.112.0/24", "2001:db8::/32"]}"#), 1);
    let home = ["10.1.2.3", "fd00::1", "198.51.100.1"];
    assert_eq!(from(home, "{}"), 1);
    assert_eq!(from(home, r#"{"ignore-private": true}"#), 0);
    let all = r#"{"ignore-networks": ["0.0.0.0/0", "::/0"]}"#;
    assert_eq!(from(office, all), 0);
}

/// Compared with a plain implementation of the rule: every span that holds three addresses touches the window of an
/// alert or lies less than a window before it, and every window holds three.
#[test]
fn any_order_of_any_events_alerts_as_the_rule_says() {
    let window = 10 * MINUTE;
    let mut n_alerts = 0;
    for seed in 0..500 {
        let mut random = Random(seed);
        let spread = 1 + random.below(120);
        let times: Vec<(i64, u8)> = (0..=random.below(60))
            .map(|_| (random.below(spread) as i64, random.below(4) as u8))
            .collect();
        let rows: Vec<Seen> = at(&times)
            .into_iter()
            .map(|seen| Seen { received: Some(120 * MINUTE), ..seen })
            .collect();
        let found = TRIAL.alerts(r#"{"window": "10m"}"#, &rows);
        let starts: Vec<i64> = found.iter().map(|alert| alert.window_start - START).collect();
        let n_from = |start: i64| {
            let inside = times
                .iter()
                .filter(|(minute, _)| (start..start + window).contains(&(minute * MINUTE)));
            inside.map(|(_, end)| end).collect::<std::collections::BTreeSet<_>>().len()
        };
        for (minute, _) in &times {
            let start = minute * MINUTE;
            let is_near = |alert: &i64| (start - alert).abs() < 2 * window;
            assert!(
                n_from(start) < 3 || starts.iter().any(is_near),
                "seed {seed}: {minute} is near none of {starts:?}"
            );
        }
        for start in &starts {
            assert!(n_from(*start) >= 3, "seed {seed}: window {start}");
        }
        n_alerts += starts.len();
    }
    assert!(n_alerts > 100, "tests nothing otherwise");
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let cases = [
        (r#"{"adresses": 5}"#, "adresses", "unknown field"),
        (r#"{"addresses": 0}"#, "addresses", "0 is not in the range 1 to 100"),
        (r#"{"addresses": -1}"#, "addresses", "invalid value"),
        (r#"{"window": "0s"}"#, "window", "0s is not in the range 1s to 30d"),
        (r#"{"window": "3650d"}"#, "window", "3650d is not in the range"),
        (r#"{"max-future": "2d"}"#, "max-future", "2d is not in the range 0s to 1d"),
        (r#"{"ipv6-prefix": 0}"#, "ipv6-prefix", "0 is not in the range 16 to 128"),
        (r#"{"ignore-networks": ["10.0.0.1/8"]}"#, "ignore-networks[0]", "bits set behind"),
        (r#"{"ignore-networks": ["10.0.0.0/8", "x"]}"#, "ignore-networks[1]", "is not a network"),
        (r#"{"ignore-private": 1}"#, "ignore-private", "invalid type"),
        (r#"{"max-keys": 0}"#, "max-keys", "0 is not in the range 1 to 1000000"),
        (r#"{"state-bytes-max": 0}"#, "state-bytes-max", "0 is not in the range 1048576"),
    ];
    TRIAL.wrong_configurations(&cases);
}

/// A user with a hundred thousand events takes as much state as one with a few.
#[test]
fn a_busy_user_takes_little_state() {
    let mut detector = TRIAL.detector("{}");
    for part in 0..100 {
        let rows: Vec<Seen> = (0..1_000)
            .map(|index| part * 1_000 + index)
            .map(|index| seen("u", ["10.0.0.1", "10.0.0.2"][index as usize % 2], index * SECOND))
            .collect();
        assert!(rules(&TRIAL.judge(&mut detector, &rows)).is_empty());
    }
    assert!(detector.snapshot().len() < 400);
}

/// A proxy that writes the port of each connection gives a user no more addresses.
#[test]
fn a_port_is_no_address() {
    let rows: Vec<Seen> = (0..20)
        .map(|port| {
            let address = ["203.0.113.9", "[2001:db8::9]"][port as usize % 2];
            seen("u", &format!("{address}:{}", 50_000 + port), port)
        })
        .collect();
    assert!(TRIAL.alerts("{}", &rows).is_empty());
}
