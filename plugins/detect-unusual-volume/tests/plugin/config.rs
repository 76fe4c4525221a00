//! A wrong configuration names its key.

use audit_plugin_sdk::testing::Detection;
use detect_unusual_volume::DetectUnusualVolume;

use crate::common::TRIAL;

#[test]
fn a_wrong_configuration_names_its_key() {
    let cases = [
        (r#"{"scroe": 5}"#, "scroe", "unknown field"),
        (r#"{"actions": []}"#, "actions", "an empty list would never match"),
        (r#"{"actions": ["data\u0000read"]}"#, "actions", "NUL"),
        (r#"{"score": 0.5}"#, "score", "0.5 is not in the range 1 to 100"),
        (r#"{"score": 1e300}"#, "score", "is not in the range 1 to 100"),
        (r#"{"ratio": 0}"#, "ratio", "0 is not in the range 1 to 100"),
        (r#"{"floor": 0}"#, "floor", "0 is not in the range 2 to 1000000"),
        (r#"{"floor": -1}"#, "floor", "invalid value"),
        (r#"{"floor": 300}"#, "fallback", "200 is not in the range 300 to 1000000000"),
        (r#"{"high-ratio": 101}"#, "high-ratio", "101 is not in the range 1 to 100"),
        (r#"{"history": "0s"}"#, "history", "0s is not in the range 1d to 90d"),
        (r#"{"history": "3650d"}"#, "history", "3650d is not in the range 1d to 90d"),
        (r#"{"history-min": "22d"}"#, "history-min", "22d is not in the range 1d to 21d"),
        (r#"{"history": "7d"}"#, "history-min", "14d is not in the range 1d to 7d"),
        (r#"{"history-min": "0d"}"#, "history-min", "0s is not in the range"),
        (r#"{"fallback": 0}"#, "fallback", "0 is not in the range 30 to"),
        (r#"{"max-late": "13h"}"#, "max-late", "13h is not in the range 0s to 12h"),
        (r#"{"max-future": "1d"}"#, "max-future", "1d is not in the range 0s to 6h"),
        (r#"{"max-future": "-1s"}"#, "max-future", "a whole number and a unit"),
        (r#"{"show-email": "no"}"#, "show-email", "invalid type"),
        (r#"{"max-keys": 0}"#, "max-keys", "0 is not in the range 1 to 1000000"),
        (r#"{"max-keys": 1000001}"#, "max-keys", "is not in the range 1 to 1000000"),
        (r#"{"state-bytes-max": 5}"#, "state-bytes-max", "5 is not in the range"),
    ];
    TRIAL.wrong_configurations(&cases);
}

#[test]
fn it_reads_what_it_needs() {
    let detector = Detection::<DetectUnusualVolume>::new("{}").expect("the defaults");
    let expected = [
        "user_id",
        "action_type",
        "event_timestamp",
        "source_timestamp",
        "source_partition",
        "source_offset",
    ];
    assert_eq!(detector.reads(), expected);
    let widest =
        r#"{"history": "90d", "history-min": "90d", "max-late": "12h", "max-future": "6h"}"#;
    assert!(Detection::<DetectUnusualVolume>::new(widest).is_ok());
}
