//! What an alert says, and how many there are.

use audit_detect::testing::{HOUR, MINUTE};
use audit_plugin_sdk::{Position, Severity, testing};

use crate::common::{CONFIG, Change, START, TRIAL, grant, label, received, revoke, self_grant};

const RULE: &str = "privilege-change";
const ESCALATED: &str = "privilege-change-escalated";

#[test]
fn one_alert_for_an_actor_and_an_hour() {
    let at = |minutes: &[i64]| -> Vec<Change> {
        minutes.iter().map(|minute| grant("clerk", minute * MINUTE)).collect()
    };
    let cases: &[(&[i64], &[i64])] = &[
        (&[0], &[0]),
        (&[0, 0, 1, 30, 59], &[0]),
        (&[0, 60], &[0, 60]),
        (&[0, 59, 60, 119, 120], &[0, 60, 120]),
        // What comes late and just before belongs to the same run.
        (&[60, 1], &[60]),
        (&[60, 0], &[60, 0]),
    ];
    for (minutes, starts) in cases {
        let found = TRIAL.alerts(CONFIG, &at(minutes));
        let expected: Vec<_> = starts.iter().map(|&start| (RULE, "clerk", start)).collect();
        assert_eq!(TRIAL.ids(&found), expected, "{minutes:?}");
        assert!(found.iter().all(|alert| alert.severity == Severity::Medium));
    }
    let others = [grant("clerk", 0), grant("stranger", 1), grant("boss", 2)];
    assert_eq!(TRIAL.alerts(CONFIG, &others).len(), 2);
}

#[test]
fn an_alert_says_what_happened() {
    let rows = [grant("clerk", 0), revoke("clerk", 5 * MINUTE), self_grant("clerk", 10 * MINUTE)];
    let found = TRIAL.alerts(CONFIG, &rows);
    let [first, second] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((first.window_start, first.count), (START, 1));
    assert_eq!((first.key[0].name.as_str(), first.key[0].value.as_str()), ("user_id", "clerk"));
    assert_eq!(first.events, [Position { partition: 3, offset: 0 }]);
    assert!(
        first.message.starts_with("a permission was changed by an actor without an admin role")
    );
    assert_eq!(TRIAL.ids(&found)[1], (ESCALATED, "clerk", 0));
    assert_eq!((second.severity, second.count), (Severity::High, 3));
    assert_eq!((second.first_event, second.last_event), (START, START + 10 * MINUTE));
    let offsets: Vec<i64> = second.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 5, 10]);
    assert!(
        second.message.ends_with("(3 such changes by this actor within 1h)"),
        "{}",
        second.message
    );
    let labels: Vec<(&str, &str)> =
        second.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("attack", "T1098.003"), ("reason", "self-grant"), ("role", "clerk")]);
    let stranger = TRIAL.alerts(CONFIG, &[grant("stranger", 0)]);
    assert_eq!(label(&stranger[0], "role"), None);
    for alert in found {
        assert!(!alert.message.contains('@') && !alert.message.contains("READ"));
    }
}

#[test]
fn an_e_mail_address_is_masked_unless_wanted() {
    let rows = [grant("eve@company.com", 0)];
    let key = |config| TRIAL.alerts(config, &rows)[0].key[0].value.clone();
    assert!(key(CONFIG).starts_with("e***@company.com#"), "{}", key(CONFIG));
    assert_eq!(key(r#"{"roles": "roles", "show-email": true}"#), "eve@company.com");
}

/// A permission that is granted, used and taken back leaves little to see.
#[test]
fn a_permission_that_was_lent_is_urgent() {
    let lent = |granted: Change, revoked: Change, config: &str| {
        let found = TRIAL.alerts(config, &[granted, revoked]);
        found.iter().filter(|alert| label(alert, "reason") == Some("grant-and-revoke")).count()
    };
    let at = |time| (grant("clerk", 0).of("role_admin"), revoke("clerk", time).of("role_admin"));
    for (time, expected) in [(0, 1), (MINUTE, 1), (HOUR - 1, 1), (HOUR, 0), (-MINUTE, 0)] {
        let (granted, revoked) = at(time);
        assert_eq!(lent(granted.clone(), revoked.clone(), CONFIG), expected, "{time}");
        // In the other order of arrival as well.
        assert_eq!(lent(revoked, granted, CONFIG), expected, "{time}, late");
    }
    let (granted, revoked) = at(MINUTE);
    assert_eq!(lent(granted.clone(), revoked.clone().of("role_viewer"), CONFIG), 0);
    assert_eq!(
        lent(
            Change { resource: None, ..granted.clone() },
            Change { resource: None, ..revoked.clone() },
            CONFIG
        ),
        0
    );
    assert_eq!(
        lent(granted.clone(), Change { actor: Some("stranger".into()), ..revoked.clone() }, CONFIG),
        0
    );
    assert_eq!(lent(granted, revoked.clone(), r#"{"roles": "roles", "window": "1m"}"#), 0);
    let by_admin = [grant("boss", 0).of("x"), revoke("boss", 1).of("x")];
    assert!(TRIAL.alerts(CONFIG, &by_admin).is_empty());
    // Across the end of a window: the second one is urgent from the start.
    let rows = [
        grant("clerk", 0),
        grant("clerk", 50 * MINUTE).of("x"),
        revoke("clerk", 70 * MINUTE).of("x"),
    ];
    let found = TRIAL.alerts(CONFIG, &rows);
    assert_eq!(TRIAL.ids(&found), [(RULE, "clerk", 0), (RULE, "clerk", 70)]);
    assert_eq!(found[1].severity, Severity::High);
}

#[test]
fn an_urgent_alert_is_the_last_word() {
    let rows = [self_grant("clerk", 0), self_grant("clerk", MINUTE), grant("clerk", 2 * MINUTE)];
    let found = TRIAL.alerts(CONFIG, &rows);
    assert_eq!(TRIAL.ids(&found), [(RULE, "clerk", 0)]);
    assert_eq!(found[0].severity, Severity::High);
}

/// Nothing hides before a window that an honest-looking change opened.
#[test]
fn a_self_grant_dated_before_the_window_is_told() {
    let late = Change { received: Some(30 * MINUTE), ..self_grant("clerk", 29 * MINUTE) };
    let found = TRIAL.alerts(CONFIG, &[grant("clerk", 30 * MINUTE), late]);
    assert_eq!(TRIAL.ids(&found), [(RULE, "clerk", 30), (ESCALATED, "clerk", 30)]);
    assert_eq!(found[1].first_event, START + 29 * MINUTE);
}

#[test]
fn rows_without_actor_or_time_are_counted_apart() {
    let no_actor = Change { actor: None, ..grant("clerk", 0) };
    let no_time = Change { time: None, ..grant("clerk", 0) };
    let no_kafka_time = Change { received: None, ..grant("clerk", 0) };
    testing::take_log();
    assert!(TRIAL.alerts(CONFIG, &[no_actor, no_time, no_kafka_time]).is_empty());
    let (_, line) = &testing::take_log()[0];
    assert!(line.starts_with("3 changes of permissions without actor or time"), "{line}");
    assert!(TRIAL.alerts(CONFIG, &[received("boss", 0, 0)]).is_empty());
}
