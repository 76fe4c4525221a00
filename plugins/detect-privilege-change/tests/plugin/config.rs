//! Errors of the configuration.

use audit_plugin_sdk::testing::Detection;
use detect_privilege_change::DetectPrivilegeChange;

use crate::common::{CONFIG, TRIAL, give_roles, grant};

#[test]
fn without_roles_it_says_how_to_give_them() {
    let error = Detection::<DetectPrivilegeChange>::new("{}").unwrap_err();
    assert_eq!(error.key, "roles");
    for part in ["roles = \"roles\"", "lookups = [\"roles\"]", "[lookups.roles]"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    // Nothing is granted to this test.
    let error = Detection::<DetectPrivilegeChange>::new(CONFIG).unwrap_err();
    assert_eq!(error.key, "roles");
    assert!(error.message.contains("[lookups.roles]"), "{}", error.message);
}

#[test]
fn a_wrong_configuration_names_its_key() {
    give_roles();
    let cases = [
        (r#""role": "roles""#, "role", "unknown field"),
        (r#""role-column": "rank""#, "role-column", "it has: user_id, role"),
        (r#""admin-roles": []"#, "admin-roles", "an empty list"),
        (r#""admin-roles": "admin""#, "admin-roles", "invalid type"),
        (r#""unknown-actors": "trust""#, "unknown-actors", "expected `alert` or `ignore`"),
        (r#""grant-actions": []"#, "grant-actions", "an empty list"),
        (r#""revoke-actions": []"#, "revoke-actions", "an empty list"),
        (r#""revoke-actions": ["permission_grant"]"#, "revoke-actions", "grant-actions as well"),
        (r#""results": []"#, "results", "an empty list"),
        (r#""grantee-fields": [""]"#, "grantee-fields[0]", "empty"),
        (r#""window": "0s""#, "window", "0s is not in the range 1s to 30d"),
        (r#""window": "3650d""#, "window", "not in the range 1s to 30d"),
        (r#""max-late": "31d""#, "max-late", "31d is not in the range 0s to 30d"),
        (r#""max-future": "2d""#, "max-future", "2d is not in the range 0s to 1d"),
        (r#""max-keys": 0"#, "max-keys", "not in the range"),
        (r#""state-bytes-max": 0"#, "state-bytes-max", "not in the range"),
    ];
    for (keys, key, message) in cases {
        let config = format!(r#"{{"roles": "roles", {keys}}}"#);
        TRIAL.wrong_configurations(&[(config.as_str(), key, message)]);
    }
}

#[test]
fn a_missing_column_is_a_fault_and_changes_nothing() {
    TRIAL.missing_columns(CONFIG, &[grant("clerk", 0)]);
}
