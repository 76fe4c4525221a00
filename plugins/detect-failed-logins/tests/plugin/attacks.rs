//! Spraying, and logins after an attack.

use audit_detect::testing::{HOUR, MINUTE, SECOND, START, rules};
use audit_plugin_sdk::Severity;

use crate::common::{Login, TRIAL, USERS, failure, failure_of, received, success};

/// The same, but received later.
fn received_of(login: Login, received: i64) -> Login {
    Login { received: Some(received), ..login }
}

/// One failure a minute, each of another user.
fn spray(n_users: usize) -> Vec<Login> {
    let failure =
        |(index, user): (usize, &&'static str)| failure_of(user, "a", index as i64 * MINUTE);
    USERS[..n_users].iter().enumerate().map(failure).collect()
}

#[test]
fn five_users_failing_from_one_address_are_a_spray() {
    assert!(TRIAL.judge(&mut TRIAL.detector("{}"), &spray(4)).is_empty(), "four are not");
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &spray(5));
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((&*alert.rule, alert.severity), ("password-spray", Severity::Medium));
    assert_eq!((alert.window_start, alert.first_event), (START, START));
    assert_eq!((alert.last_event, alert.count), (START + 4 * MINUTE, 5));
    let offsets: Vec<i64> = alert.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 60, 120, 180, 240]);
    let labels: Vec<(&str, &str)> =
        alert.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    let expected = [("attack", "T1110.003"), ("distinct-users", "5")];
    assert_eq!(labels, expected);
    assert!(alert.message.starts_with("5 users failed to log in from one address within 20m"));
    assert!(!alert.message.contains("user_"));
}

#[test]
fn what_is_no_spray() {
    let quiet = |name: &str, logins: &[Login]| {
        let alerts = TRIAL.judge(&mut TRIAL.detector(r#"{"threshold": 100}"#), logins);
        assert!(alerts.is_empty(), "{name}: {alerts:?}");
    };
    let again: Vec<Login> =
        (0..60).map(|index| failure_of(USERS[index as usize % 4], "a", index * SECOND)).collect();
    quiet("four users, again and again", &again);
    let mut slow = spray(5);
    slow[4] = failure_of(USERS[4], "a", 20 * MINUTE);
    quiet("the fifth user twenty minutes after the first", &slow);
    let mut nobody = spray(5);
    nobody[4].user = "user_001";
    quiet("one of them twice", &nobody);
    // An office: as many succeed.
    let mut office: Vec<Login> =
        (0..5).map(|index| success("a", USERS[5 + index as usize], index * MINUTE)).collect();
    office.extend(spray(5));
    quiet("five fail and five succeed", &office);
    let fewer = &office[1..];
    let config = r#"{"threshold": 100, "after-attack": "0s"}"#;
    let alerts = TRIAL.judge(&mut TRIAL.detector(config), fewer);
    assert_eq!(rules(&alerts), ["password-spray"], "five fail and four succeed");
    let off = TRIAL.judge(&mut TRIAL.detector(r#"{"spray-users": 0}"#), &spray(5));
    assert!(off.is_empty(), "the rule is off");
}

/// Successes of long before say nothing about the spray.
#[test]
fn only_logins_within_the_window_weigh_against_a_spray() {
    let mut logins: Vec<Login> =
        USERS.iter().map(|user| success("a", user, -21 * MINUTE)).collect();
    logins.extend(spray(5));
    assert_eq!(rules(&TRIAL.judge(&mut TRIAL.detector("{}"), &logins)), ["password-spray"]);
}

#[test]
fn a_spray_goes_on_as_one_alert_a_window() {
    let logins: Vec<Login> = (0..60)
        .map(|minute| failure_of(USERS[minute as usize % 10], "a", minute * MINUTE))
        .collect();
    let alerts = TRIAL.judge(&mut TRIAL.detector(r#"{"threshold": 999}"#), &logins);
    assert_eq!(rules(&alerts), ["password-spray"; 3]);
}

/// Six failures, the last at minute five.
fn guessed() -> Vec<Login> {
    (0..6).map(|minute| failure("a", minute * MINUTE)).collect()
}

#[test]
fn a_login_after_an_attack_is_told_once() {
    let mut detector = TRIAL.detector("{}");
    assert_eq!(rules(&TRIAL.judge(&mut detector, &guessed())), ["failed-logins"]);
    assert!(TRIAL.judge(&mut detector, &[success("b", "user_001", 6 * MINUTE)]).is_empty());
    let alerts = TRIAL.judge(&mut detector, &[success("a", "user_009", HOUR)]);
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((&*alert.rule, alert.severity), ("login-after-attack", Severity::High));
    assert_eq!((alert.window_start, alert.last_event), (START, START + HOUR));
    assert_eq!((alert.count, alert.events[0].offset), (1, 3_600));
    assert_eq!((&*alert.labels[0].name, &*alert.labels[0].value), ("attack", "T1078"));
    assert!(TRIAL.judge(&mut detector, &[success("a", "user_002", HOUR + 1)]).is_empty());
}

#[test]
fn three_hours_after_the_last_failure_are_the_limit() {
    for (time, n_alerts) in [
        (5 * MINUTE, 1),
        (5 * MINUTE - 1, 0),
        (3 * HOUR + 5 * MINUTE, 1),
        (3 * HOUR + 5 * MINUTE + 1, 0),
    ] {
        let mut detector = TRIAL.detector("{}");
        TRIAL.judge(&mut detector, &guessed());
        let alerts = TRIAL.judge(&mut detector, &[success("a", "user_001", time)]);
        assert_eq!(alerts.len(), n_alerts, "{time}");
    }
    // Failures that go on in the alerted window move the limit.
    let mut detector = TRIAL.detector("{}");
    TRIAL.judge(&mut detector, &guessed());
    TRIAL.judge(&mut detector, &[failure("a", 50 * MINUTE)]);
    let late = success("a", "user_001", 3 * HOUR + 50 * MINUTE);
    assert_eq!(rules(&TRIAL.judge(&mut detector, &[late])), ["login-after-attack"]);
}

#[test]
fn no_attack_no_alert() {
    let mut detector = TRIAL.detector("{}");
    TRIAL.judge(&mut detector, &guessed()[..5]);
    assert!(TRIAL.judge(&mut detector, &[success("a", "user_001", 6 * MINUTE)]).is_empty());
}

#[test]
fn a_spray_is_an_attack_too_and_the_rule_can_be_off() {
    let login = success("a", "user_009", 10 * MINUTE);
    let logins = [spray(5), vec![login]].concat();
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    assert_eq!(rules(&alerts), ["password-spray", "login-after-attack"]);
    let alerts = TRIAL.judge(&mut TRIAL.detector(r#"{"after-attack": "0s"}"#), &logins);
    assert_eq!(rules(&alerts), ["password-spray"]);
}

#[test]
fn an_attack_that_goes_on_is_reported_of_again_after_three_hours() {
    let mut detector = TRIAL.detector("{}");
    let mut times = Vec::new();
    for minute in 0..8 * 60 {
        let logins = [failure("a", minute * MINUTE), success("a", "user_002", minute * MINUTE)];
        let alerts = TRIAL.judge(&mut detector, &logins);
        let reported = alerts.iter().filter(|alert| alert.rule == "login-after-attack");
        times.extend(reported.map(|alert| (alert.last_event - START) / HOUR));
    }
    assert_eq!(times, [0, 3, 6]);
}

/// The login was read first, as the partition with the failures lagged.
#[test]
fn a_login_read_before_the_failures_that_came_before_it_is_told() {
    let mut detector = TRIAL.detector("{}");
    TRIAL.judge(&mut detector, &[success("a", "user_009", 30 * MINUTE)]);
    let late: Vec<Login> =
        (0..6).map(|minute| received("a", minute * MINUTE, 31 * MINUTE)).collect();
    assert_eq!(rules(&TRIAL.judge(&mut detector, &late)), ["failed-logins", "login-after-attack"]);
}

#[test]
fn addresses_of_one_network_are_one() {
    let within = |prefix: &str, config: &str| {
        let logins: Vec<Login> =
            (0..6).map(|index| failure(&format!("{prefix}{index:x}"), index * MINUTE)).collect();
        TRIAL.judge(&mut TRIAL.detector(config), &logins)
    };
    let alerts = within("2001:db8:0:1::", "{}");
    assert_eq!(alerts[0].key[0].value, "2001:db8:0:1::/64");
    assert!(within("2001:db8:0:1::", r#"{"ipv6-prefix": 128}"#).is_empty());
    assert!(within("2001:db8:0:", "{}").is_empty(), "no addresses");
    assert!(within("203.0.113.", "{}").is_empty(), "IPv4 addresses are one by one");
    let mixed: Vec<Login> = (0..6)
        .map(|index| failure(["203.0.113.9", "::ffff:203.0.113.9"][index as usize % 2], index))
        .collect();
    assert_eq!(TRIAL.judge(&mut TRIAL.detector("{}"), &mixed)[0].key[0].value, "203.0.113.9");
    let token = failure("tok_k1_abcdefghijklmnopqrstuvwxyz", 0);
    assert_eq!(TRIAL.judge(&mut TRIAL.detector("{}"), &vec![token; 6]).len(), 1);
}

/// The spray takes the login into its window at the moment at which it becomes an attack.
#[test]
fn a_login_in_the_window_of_a_spray_is_told() {
    let mut logins = spray(4);
    logins.push(success("a", "user_010", 10 * MINUTE));
    logins.push(received_of(failure_of("user_005", "a", 4 * MINUTE), 11 * MINUTE));
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    assert_eq!(rules(&alerts), ["password-spray", "login-after-attack"]);
    assert_eq!(alerts[1].events[0].offset, 600);
}

/// An attack starts to have consequences with its last failure, not with a login in its window.
#[test]
fn the_first_login_after_the_last_failure_is_told() {
    let mut logins = spray(4);
    logins.push(success("a", "user_010", 10 * MINUTE));
    logins.push(success("a", "user_009", 6 * MINUTE));
    logins.push(success("a", "user_008", 3 * MINUTE));
    logins.push(received_of(failure_of("user_005", "a", 4 * MINUTE), 11 * MINUTE));
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    assert_eq!(rules(&alerts), ["password-spray", "login-after-attack"]);
    assert_eq!(alerts[1].events[0].offset, 360);
    // Three hours after that failure it is over, no matter what succeeded in between.
    let mut detector = TRIAL.detector(r#"{"after-attack": "5m"}"#);
    logins.truncate(4);
    logins.push(success("a", "user_010", 10 * MINUTE));
    logins.push(received_of(failure_of("user_005", "a", 4 * MINUTE), 11 * MINUTE));
    assert_eq!(rules(&TRIAL.judge(&mut detector, &logins)), ["password-spray"]);
    assert!(TRIAL.judge(&mut detector, &[success("a", "user_010", 14 * MINUTE)]).is_empty());
}

/// Failures that come late find the login behind them, whether or not sprays are looked for or it has a
/// user, and after any number of others.
#[test]
fn logins_are_kept_for_late_failures_by_themselves() {
    let late = || (0..6).map(|minute| received("a", minute * MINUTE, 31 * MINUTE));
    for (config, user) in [(r#"{"spray-users": 0}"#, "user_009"), ("{}", "")] {
        let mut logins = vec![success("a", user, 30 * MINUTE)];
        logins.extend(late());
        let alerts = TRIAL.judge(&mut TRIAL.detector(config), &logins);
        assert_eq!(rules(&alerts), ["failed-logins", "login-after-attack"], "{config}");
    }
    let mut logins: Vec<Login> =
        (0..2_000).map(|second| success("a", "", 5 * MINUTE + second * SECOND / 2)).collect();
    logins.extend(late());
    let mut detector = TRIAL.detector("{}");
    assert_eq!(
        rules(&TRIAL.judge(&mut detector, &logins)),
        ["failed-logins", "login-after-attack"]
    );
    assert!(detector.snapshot().len() < 1_000, "few of them are kept");
}

/// Failures with the port of their connection are those of one address.
#[test]
fn a_port_is_no_address() {
    let logins: Vec<Login> =
        (0..6).map(|port| failure(&format!("203.0.113.9:{}", 50_000 + port), port)).collect();
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    assert_eq!((rules(&alerts), &*alerts[0].key[0].value), (vec!["failed-logins"], "203.0.113.9"));
}
