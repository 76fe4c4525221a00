//! Errors of the configuration.

use audit_detect::testing::HOUR;
use audit_plugin_sdk::testing::{Table, give_table};

use crate::common::{TRIAL, read};

#[test]
fn a_wrong_configuration_names_its_key() {
    give_table("shifts", Table::from_csv("user_id", "user_id,shift\na,night"));
    let cases = [
        (r#"{"calender": "office"}"#, "calender", "unknown field"),
        (r#"{"calendar": "office"}"#, "calendar", "[calendars.office]"),
        (r#"{"calendar": "office", "hours": ["mon 09:00-17:00"]}"#, "hours", "keep one of the two"),
        (r#"{"calendar": "office", "utc-offset": "+01:00"}"#, "utc-offset", "keep one of the two"),
        (r#"{"utc-offset": "CET"}"#, "utc-offset", "not a UTC offset"),
        (r#"{"hours": []}"#, "hours", "covers nothing"),
        (r#"{"hours": ["mon-fri 09:00-17:00", "fri 12:00-13:00"]}"#, "hours[1]", "overlaps"),
        (r#"{"hours": ["mon-sun 00:00-24:00"]}"#, "hours", "the whole week"),
        (r#"{"hours": ["9-17"]}"#, "hours[0]", "write \"mon-fri 09:00-17:00\""),
        (r#"{"calendars": "shifts"}"#, "calendars", "invalid type"),
        (r#"{"calendars": {"table": "shifts"}}"#, "calendars", "missing field `column`"),
        (r#"{"calendars": {"table": "x", "column": "shift"}}"#, "calendars.table", "[lookups.x]"),
        (
            r#"{"calendars": {"table": "shifts", "column": "x"}}"#,
            "calendars.column",
            "it has: user_id, shift",
        ),
        (r#"{"actions": []}"#, "actions", "an empty list"),
        (r#"{"urgent-actions": ["data_write"]}"#, "urgent-actions[0]", "not among actions"),
        (r#"{"results": []}"#, "results", "an empty list"),
        (r#"{"ignore-users": ["*"]}"#, "ignore-users[0]", "how users start"),
        (r#"{"ignore-users": ["a", "*b"]}"#, "ignore-users[1]", "how users start"),
        (r#"{"min-events": 0}"#, "min-events", "0 is not in the range 1 to 1000000"),
        (r#"{"min-events": -1}"#, "min-events", "invalid value"),
        (r#"{"max-future": "2d"}"#, "max-future", "2d is not in the range 0s to 1d"),
        (r#"{"max-keys": 0}"#, "max-keys", "not in the range 1 to 1000000"),
        (r#"{"state-bytes-max": 1}"#, "state-bytes-max", "not in the range"),
        (r#"{"show-email": "no"}"#, "show-email", "invalid type"),
    ];
    TRIAL.wrong_configurations(&cases);
}

#[test]
fn a_missing_column_is_a_fault_and_changes_nothing() {
    TRIAL.missing_columns("{}", &[read("a", 22 * HOUR)]);
}
