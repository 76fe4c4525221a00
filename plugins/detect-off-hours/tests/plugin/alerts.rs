//! What counts, and what an alert says.

use audit_detect::testing::{DAY, HOUR, MINUTE};
use audit_plugin_sdk::{Position, Severity, testing};

use crate::common::{Access, MONDAY, TRIAL, export, read};

/// On Monday night, after the office closed.
const NIGHT: i64 = 22 * HOUR;

#[test]
fn one_alert_for_a_user_and_a_closed_stretch() {
    let rows = [
        read("user_001", 18 * HOUR),
        read("user_002", 19 * HOUR),
        read("user_001", NIGHT),
        // Past midnight it still is the same night.
        read("user_001", DAY + 8 * HOUR),
        read("user_001", DAY + 10 * HOUR),
        read("user_001", DAY + 17 * HOUR),
        // A weekend is one stretch.
        read("user_002", 4 * DAY + 18 * HOUR),
        read("user_002", 5 * DAY + 12 * HOUR),
        read("user_002", 7 * DAY + 8 * HOUR),
    ];
    let (rule, hours) = ("off-hours-access", 60);
    assert_eq!(
        TRIAL.ids(&TRIAL.alerts("{}", &rows)),
        [
            (rule, "user_001", 17 * hours),
            (rule, "user_002", 17 * hours),
            (rule, "user_001", (24 + 17) * hours),
            (rule, "user_002", (4 * 24 + 17) * hours),
        ]
    );
}

#[test]
fn an_export_makes_it_urgent() {
    let severities = |rows: &[Access]| -> Vec<(String, Severity, u64)> {
        let found = TRIAL.alerts("{}", rows);
        found.into_iter().map(|alert| (alert.rule, alert.severity, alert.count)).collect()
    };
    let (rule, escalated) =
        ("off-hours-access".to_owned(), "off-hours-access-escalated".to_owned());
    for action in ["data_export", "data_delete", "data_download"] {
        let urgent = |time| Access { action, ..read("user_001", time) };
        let rows = [
            read("user_001", NIGHT),
            read("user_001", NIGHT + 1),
            urgent(NIGHT + 2),
            urgent(NIGHT + 3),
        ];
        let (medium, high) = (Severity::Medium, Severity::High);
        assert_eq!(severities(&rows), [(rule.clone(), medium, 1), (escalated.clone(), high, 3)]);
        assert_eq!(severities(&rows[2..]), [(rule.clone(), high, 1)], "{action}");
    }
}

#[test]
fn an_alert_says_what_happened() {
    let mut detector = TRIAL.detector("{}");
    let rows = [
        read("user_017", NIGHT),
        read("user_017", NIGHT + MINUTE),
        export("user_017", NIGHT + 5 * MINUTE),
    ];
    let found = TRIAL.judge(&mut detector, &rows);
    let [first, second] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((first.window_start, first.first_event), (MONDAY + 17 * HOUR, MONDAY + NIGHT));
    assert_eq!((first.key[0].name.as_str(), first.key[0].value.as_str()), ("user_id", "user_017"));
    assert_eq!(first.events, [Position { partition: 3, offset: NIGHT / MINUTE }]);
    assert!(first.message.starts_with("1 access to data outside business hours so far; ask"));
    assert_eq!(second.window_start, first.window_start);
    assert_eq!(second.last_event, MONDAY + NIGHT + 5 * MINUTE);
    let offsets: Vec<i64> = second.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 1, 5].map(|minutes| NIGHT / MINUTE + minutes));
    assert!(
        second.message.starts_with("3 accesses to data outside business hours so far, 1 of them")
    );
    let labels: Vec<(&str, &str)> =
        second.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("attack", "T1078"), ("urgent-events", "1")]);
    for alert in &found {
        assert!(!alert.message.contains("user_017"));
    }
}

#[test]
fn an_e_mail_address_is_masked_unless_wanted() {
    let rows = [read("alice@company.com", NIGHT)];
    let key = |config| TRIAL.alerts(config, &rows)[0].key[0].value.clone();
    assert!(key("{}").starts_with("a***@company.com#"), "{}", key("{}"));
    assert_eq!(key(r#"{"show-email": true}"#), "alice@company.com");
}

#[test]
fn only_what_is_configured_counts() {
    let cases = [
        ("{}", "data_read", "failure", true),
        ("{}", "data_download", "success", true),
        ("{}", "data_write", "success", false),
        ("{}", "query_execute", "success", false),
        ("{}", "user_login", "success", false),
        ("{}", "data_reads", "success", false),
        (r#"{"results": ["success"]}"#, "data_read", "failure", false),
        (r#"{"results": ["success"]}"#, "data_read", "success", true),
        (r#"{"actions": ["query_execute"]}"#, "query_execute", "success", true),
        (r#"{"actions": ["query_execute"]}"#, "data_read", "success", false),
    ];
    for (config, action, result, expected) in cases {
        let row = Access { action, result: Some(result), ..read("user_001", NIGHT) };
        assert_eq!(
            !TRIAL.alerts(config, &[row]).is_empty(),
            expected,
            "{config}: {action}, {result}"
        );
    }
    let unsaid = Access { result: None, ..read("user_001", NIGHT) };
    assert_eq!(TRIAL.alerts("{}", std::slice::from_ref(&unsaid)).len(), 1);
    assert!(TRIAL.alerts(r#"{"results": ["success"]}"#, &[unsaid]).is_empty());
    let urgent = r#"{"urgent-actions": ["data_read"]}"#;
    assert_eq!(TRIAL.alerts(urgent, &[read("user_001", NIGHT)])[0].severity, Severity::High);
    assert_eq!(TRIAL.alerts(urgent, &[export("user_001", NIGHT)])[0].severity, Severity::Medium);
}

#[test]
fn users_may_be_ignored() {
    let config = r#"{"ignore-users": ["backup", "svc-*"]}"#;
    let users = ["backup", "backup2", "svc-", "svc-etl", "my-svc-etl", ""];
    let rows = users.map(|user| export(user, NIGHT));
    let found = TRIAL.alerts(config, &rows);
    let keys: Vec<&str> = TRIAL.ids(&found).into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["backup2", "my-svc-etl", ""]);
}

#[test]
fn a_few_events_may_be_allowed() {
    let rows: Vec<Access> =
        (0..6).map(|minute| read("user_001", NIGHT + minute * MINUTE)).collect();
    let config = r#"{"min-events": 5}"#;
    assert!(TRIAL.alerts(config, &rows[..4]).is_empty());
    let found = TRIAL.alerts(config, &rows);
    assert_eq!((found.len(), found[0].count, found[0].events.len()), (1, 5, 5));
    let mut with_export = rows[..4].to_vec();
    with_export.push(export("user_001", NIGHT + HOUR));
    assert_eq!(TRIAL.alerts(config, &with_export)[0].severity, Severity::High);
    assert!(
        TRIAL.alerts(config, &with_export[1..]).is_empty(),
        "an export alone is not enough either"
    );
}

#[test]
fn rows_without_user_or_time_are_counted_apart() {
    let no_user = Access { user: None, ..read("", NIGHT) };
    let no_time = Access { time: None, ..read("user_001", NIGHT) };
    let no_kafka_time = Access { received: None, ..read("user_001", NIGHT) };
    testing::take_log();
    assert!(TRIAL.alerts("{}", &[no_user, no_time, no_kafka_time]).is_empty());
    let (_, line) = &testing::take_log()[0];
    assert!(line.starts_with("3 accesses without user or time"), "{line}");
}
