//! Who may change permissions.

use audit_detect::testing::{DAY, HOUR, MINUTE};
use audit_plugin_sdk::Severity;
use audit_plugin_sdk::testing::{Detection, Table, give_table};
use detect_privilege_change::DetectPrivilegeChange;

use crate::common::{CONFIG, Change, TRIAL, grant, label, received, revoke, self_grant};

fn check(config: &str, cases: &[(Change, Option<&str>)]) {
    for (row, reason) in cases {
        let found = TRIAL.alerts(config, std::slice::from_ref(row));
        let reasons: Vec<_> = found.iter().map(|alert| label(alert, "reason")).collect();
        assert_eq!(reasons, reason.map(Some).as_slice(), "{config}: {row:?}");
    }
}

#[test]
fn the_role_is_the_one_as_of_the_event() {
    let noon = 12 * HOUR;
    check(
        CONFIG,
        &[
            (grant("boss", noon), None),
            (revoke("boss", noon), None),
            (grant("twofold", noon), None),
            (grant("clerk", noon), Some("no-admin-role")),
            (revoke("clerk", noon), Some("no-admin-role")),
            (grant("former", noon - 1), None),
            (grant("former", noon), Some("no-admin-role")),
            (grant("stranger", noon), Some("unknown-actor")),
            (grant("", noon), Some("unknown-actor")),
            // The table knows nobody before 2026.
            (received("boss", -400 * DAY, noon), Some("unknown-actor")),
        ],
    );
}

#[test]
fn unknown_actors_may_be_ignored() {
    check(
        r#"{"roles": "roles", "unknown-actors": "ignore"}"#,
        &[
            (grant("stranger", 0), None),
            (grant("clerk", 0), Some("no-admin-role")),
            (self_grant("stranger", 0), Some("self-grant")),
        ],
    );
}

#[test]
fn roles_that_may_are_configured() {
    check(
        r#"{"roles": "roles", "admin-roles": ["auditor", "clerk"]}"#,
        &[
            (grant("clerk", 0), None),
            (grant("twofold", 0), None),
            (grant("boss", 0), Some("no-admin-role")),
        ],
    );
}

/// A self-grant of an admin is reported as well: nobody may approve their own rights.
#[test]
fn a_self_grant_is_always_told() {
    let by_id = Change { details: Some(r#"{"granted_to": "BOSS"}"#.into()), ..grant("boss", 0) };
    let unreadable =
        Change { details: Some(r#"{"granted_to": "boss", "#.into()), ..grant("boss", 0) };
    let taken_back = Change { action: "permission_revoke", ..self_grant("boss", 0) };
    let no_email = Change { email: None, ..self_grant("boss", 0) };
    check(
        CONFIG,
        &[
            (self_grant("boss", 0), Some("self-grant")),
            (self_grant("clerk", 0), Some("self-grant")),
            (by_id, Some("self-grant")),
            (unreadable, Some("self-grant")),
            (taken_back, None),
            (no_email, None),
            (Change { details: None, ..grant("boss", 0) }, None),
            (
                Change {
                    details: Some(String::new()),
                    email: Some(String::new()),
                    ..grant("boss", 0)
                },
                None,
            ),
        ],
    );
    let not_looked_for = r#"{"roles": "roles", "grantee-fields": []}"#;
    check(not_looked_for, &[(self_grant("boss", 0), None)]);
    let elsewhere = Change { details: Some(r#"{"to": ["boss"]}"#.into()), ..grant("boss", 0) };
    check(r#"{"roles": "roles", "grantee-fields": ["to"]}"#, &[(elsewhere, Some("self-grant"))]);
    assert_eq!(TRIAL.alerts(CONFIG, &[self_grant("boss", 0)])[0].severity, Severity::High);
}

/// Whoever dates a change back picks the day: what comes more than a day late must be allowed on the
/// day on which it came as well.
#[test]
fn a_role_that_was_lost_is_not_had_by_dating_back() {
    let noon = 12 * HOUR;
    check(
        CONFIG,
        &[
            (received("former", noon - MINUTE, noon - MINUTE), None),
            // An honest event that was an hour, or a day, on its way.
            (received("former", noon - MINUTE, noon + HOUR), None),
            (received("former", noon - DAY, noon), None),
            (received("former", noon - DAY - 1, noon), Some("no-admin-role")),
            (received("former", -100 * DAY, 20 * HOUR), Some("no-admin-role")),
            (received("boss", -100 * DAY, 20 * HOUR), None),
            // What comes late is no excuse for who had no role then.
            (received("stranger", -100 * DAY, 20 * HOUR), Some("unknown-actor")),
            // Ahead, to when one has the role: the Kafka time counts.
            (received("former", i64::MAX, noon - HOUR), None),
            (received("former", i64::MAX, noon + HOUR), Some("no-admin-role")),
        ],
    );
    let strict = r#"{"roles": "roles", "max-late": "10m"}"#;
    check(strict, &[(received("former", noon - MINUTE, noon + HOUR), Some("no-admin-role"))]);
}

#[test]
fn a_table_without_times_and_one_that_changes() {
    let give = |role: &str| {
        give_table("staff", Table::from_csv("id", &format!("id,job\nclerk,{role}")));
    };
    give("admin");
    let config = r#"{"roles": "staff", "role-column": "job"}"#;
    let mut detector = Detection::<DetectPrivilegeChange>::new(config).unwrap();
    assert!(TRIAL.judge(&mut detector, &[grant("clerk", 0)]).is_empty());
    give("clerk");
    assert_eq!(TRIAL.judge(&mut detector, &[grant("clerk", MINUTE)]).len(), 1);
}

#[test]
fn only_what_is_configured_counts() {
    check(
        CONFIG,
        &[
            (Change { result: "failure", ..grant("clerk", 0) }, None),
            (Change { action: "data_read", ..grant("clerk", 0) }, None),
            (Change { action: "user_create", ..grant("clerk", 0) }, None),
        ],
    );
    let config = r#"{"roles": "roles", "grant-actions": ["user_create"], "results": ["success", "failure"]}"#;
    check(
        config,
        &[
            (Change { action: "user_create", ..grant("clerk", 0) }, Some("no-admin-role")),
            (Change { result: "failure", ..revoke("clerk", 0) }, Some("no-admin-role")),
            (grant("clerk", 0), None),
        ],
    );
}

#[test]
fn details_of_any_shape_pass() {
    let deep = format!("{}{}", r#"{"granted_to":"#.repeat(10_000), "[".repeat(10_000));
    let long = format!(r#"{{"granted_to": "{}"}}"#, "x".repeat(1 << 20));
    let texts =
        ["", "null", "[]", "granted_to", "{", r#"{"granted_to": {"#, &deep, &long, "\u{0}\\"];
    let mut detector = TRIAL.detector(CONFIG);
    let rows: Vec<Change> = texts
        .iter()
        .map(|text| Change { details: Some((*text).to_owned()), ..grant("boss", 0) })
        .collect();
    assert!(TRIAL.judge(&mut detector, &rows).is_empty());
    let rows: Vec<Change> =
        rows.into_iter().map(|row| Change { actor: Some("clerk".into()), ..row }).collect();
    let found = TRIAL.judge(&mut detector, &rows);
    assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
}
