//! Which exports raise an alert, and what it says.

use audit_detect::testing::{HOUR, MINUTE, SECOND, START, rules};
use audit_plugin_sdk::Severity;
use audit_plugin_sdk::testing::take_log;

use crate::common::{Export, TRIAL, every, export};

#[test]
fn twenty_exports_in_five_minutes_are_too_many() {
    assert!(TRIAL.alerts("{}", &every("u", 19, SECOND)).is_empty(), "nineteen");
    let found = TRIAL.alerts("{}", &every("u", 20, SECOND));
    let [alert] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*alert.rule, alert.severity, alert.count), ("mass-export", Severity::Medium, 20));
    let mut slow = every("u", 20, SECOND);
    slow[19] = export("u", 0, 5 * MINUTE);
    assert!(TRIAL.alerts("{}", &slow).is_empty(), "the window is half open");
    slow[19] = export("u", 0, 5 * MINUTE - 1);
    assert_eq!(TRIAL.alerts("{}", &slow).len(), 1);
    assert!(TRIAL.alerts("{}", &every("u", 240, 16 * SECOND)).is_empty(), "slow and steady");
    let users: Vec<Export> =
        (0..38).map(|index| export(["u", "v"][index as usize % 2], 0, index)).collect();
    assert!(TRIAL.alerts("{}", &users).is_empty(), "nineteen each");
}

#[test]
fn rows_of_an_hour_are_summed_up() {
    let reported = |rows: &[u64]| -> Vec<(String, Severity, String)> {
        let exports: Vec<Export> = rows
            .iter()
            .enumerate()
            .map(|(index, &rows)| export("u", rows, index as i64 * MINUTE))
            .collect();
        let name = |alert: &audit_plugin_sdk::Alert| {
            let rows = alert.labels.iter().find(|label| label.name == "rows").unwrap();
            (alert.rule.clone(), alert.severity, rows.value.clone())
        };
        TRIAL.alerts("{}", &exports).iter().map(name).collect()
    };
    let alert = |rule: &str, severity, rows: &str| (rule.to_owned(), severity, rows.to_owned());
    let medium = |rows| alert("mass-export", Severity::Medium, rows);
    assert_eq!(reported(&[9_999]), []);
    assert_eq!(reported(&[10_000]), [medium("10000")]);
    assert_eq!(reported(&[4_000, 5_999]), []);
    assert_eq!(reported(&[4_000, 6_000]), [medium("10000")]);
    assert_eq!(reported(&[49_999]), [medium("49999")]);
    assert_eq!(reported(&[50_000]), [alert("mass-export", Severity::High, "50000")]);
    assert_eq!(reported(&[99_999]), [alert("mass-export", Severity::High, "99999")]);
    assert_eq!(reported(&[100_000]), [alert("mass-export", Severity::Critical, "100000")]);
    let all = [
        medium("20000"),
        alert("mass-export-escalated", Severity::High, "60000"),
        alert("mass-export-critical", Severity::Critical, "100000"),
    ];
    assert_eq!(reported(&[20_000, 20_000, 20_000, 20_000, 20_000, 20_000]), all);
    assert_eq!(
        reported(&[20_000, 90_000]),
        [medium("20000"), alert("mass-export-critical", Severity::Critical, "110000")]
    );
    assert_eq!(
        reported(&[u64::MAX, u64::MAX]),
        [alert("mass-export", Severity::Critical, &u64::MAX.to_string())]
    );
}

#[test]
fn rows_an_hour_apart_are_not_summed_up() {
    let at = |time| [export("u", 6_000, 0), export("u", 6_000, time)];
    assert!(TRIAL.alerts("{}", &at(HOUR)).is_empty());
    assert_eq!(TRIAL.alerts("{}", &at(HOUR - 1)).len(), 1);
    // In any order.
    let mut backwards = at(HOUR - 1);
    backwards.reverse();
    assert_eq!(TRIAL.alerts("{}", &backwards).len(), 1);
}

/// Many small exports open the window, their rows make it worse: one window, one alert for each step.
#[test]
fn exports_and_rows_are_one_window() {
    let exports: Vec<Export> = (0..200).map(|index| export("u", 300, index * SECOND)).collect();
    let found = TRIAL.alerts("{}", &exports);
    assert_eq!(rules(&found), ["mass-export", "mass-export-escalated"]);
    assert!(found.iter().all(|alert| alert.window_start == START));
    assert_eq!((found[0].count, found[1].count), (20, 167));
    assert_eq!(found[1].events.len(), 100, "the newest of them");
}

#[test]
fn what_goes_on_for_hours_is_told_once_an_hour() {
    let found = TRIAL.alerts("{}", &every("u", 5 * 360, 10 * SECOND));
    assert_eq!(rules(&found), ["mass-export"; 5]);
    let starts: Vec<i64> = found.iter().map(|alert| (alert.window_start - START) / HOUR).collect();
    assert_eq!(starts, [0, 1, 2, 3, 4]);
}

#[test]
fn an_alert_says_what_happened() {
    let exports = [export("user_017", 4_000, 0), export("user_017", 8_000, 30 * MINUTE)];
    let found = TRIAL.alerts("{}", &exports);
    let [alert] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*alert.key[0].name, &*alert.key[0].value), ("user_id", "user_017"));
    let times = (alert.window_start, alert.first_event, alert.last_event);
    assert_eq!(times, (START, START, START + 30 * MINUTE));
    let offsets: Vec<i64> = alert.events.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 1_800]);
    let labels: Vec<(&str, &str)> =
        alert.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("attack", "T1567"), ("attack-also", "T1530"), ("rows", "12000")]);
    assert!(alert.message.starts_with("one user made 2 exports of 12000 rows within 1h"));
    assert!(!alert.message.contains("017") && !alert.message.contains("CSV"));
}

#[test]
fn a_user_that_is_an_e_mail_address_is_masked() {
    let exports = [export("alice@example.com", 10_000, 0)];
    let shown = |config: &str| TRIAL.alerts(config, &exports)[0].key[0].value.clone();
    assert!(shown("{}").starts_with("a***@example.com#"));
    assert_eq!(shown(r#"{"show-email": true}"#), "alice@example.com");
}

#[test]
fn only_exports_that_succeeded_count() {
    let other = Export { action: "data_read", ..export("u", 1 << 40, 0) };
    let failed = Export { result: "failure", ..export("u", 1 << 40, 0) };
    assert!(TRIAL.alerts("{}", &[vec![other; 30], vec![failed.clone(); 30]].concat()).is_empty());
    let download = Export { action: "data_download", ..export("u", 10_000, 0) };
    assert_eq!(TRIAL.alerts("{}", &[download]).len(), 1);
    let config = r#"{"actions": ["data_read"], "results": ["success", "failure"]}"#;
    let read = Export { action: "data_read", ..failed };
    assert_eq!(TRIAL.alerts(config, &[read]).len(), 1);
}

#[test]
fn details_are_anything() {
    let deep = "[".repeat(10_000);
    for details in [
        None,
        Some(""),
        Some("no JSON"),
        Some(r#"{"rows_exported": -1}"#),
        Some(r#"{"rows_exported": 1.5e9}"#),
        Some(r#"{"rows_exported": "900000"}"#),
        Some(r#"{"rows_exported": 1e400}"#),
        Some(deep.as_str()),
    ] {
        let with = |export: Export| Export { details: details.map(str::to_owned), ..export };
        let exports: Vec<Export> = every("u", 20, SECOND).into_iter().map(with).collect();
        assert!(TRIAL.alerts("{}", &exports[..19]).is_empty(), "{details:?}: no rows");
        assert_eq!(
            rules(&TRIAL.alerts("{}", &exports)),
            ["mass-export"],
            "they count all the same"
        );
    }
    let config = r#"{"row-fields": ["rows_exported", "rows_returned"]}"#;
    let returned =
        Export { details: Some(r#"{"rows_returned": 10000}"#.into()), ..export("u", 0, 0) };
    assert_eq!(TRIAL.alerts(config, std::slice::from_ref(&returned)).len(), 1);
    assert!(TRIAL.alerts("{}", &[returned]).is_empty());
}

#[test]
fn rows_without_user_or_time_are_counted_apart() {
    let mut detector = TRIAL.detector(r#"{"events": 1}"#);
    let no_user = Export { user: None, ..export("u", 0, 0) };
    let no_time = Export { time: None, ..export("u", 0, 0) };
    let no_kafka_time = Export { received: None, ..export("u", 0, 0) };
    assert!(TRIAL.judge(&mut detector, &[no_user, no_time, no_kafka_time]).is_empty());
    let (_, line) = &take_log()[0];
    assert!(line.starts_with("3 exports without user or time"), "{line}");
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let cases = [
        (r#"{"evnts": 5}"#, "evnts", "unknown field"),
        (r#"{"events": 0}"#, "events", "0 is not in the range 1 to 1000"),
        (r#"{"events": -1}"#, "events", "invalid value"),
        (r#"{"events": 84}"#, "events", "at most 83 are possible"),
        (r#"{"window": "0s"}"#, "window", "0s is not in the range 1s to 30d"),
        (r#"{"window": "3650d"}"#, "window", "3650d is not in the range"),
        (r#"{"events-window": "2h"}"#, "events-window", "2h is not in the range 1s to 1h"),
        (r#"{"rows-medium": 0}"#, "rows-medium", "0 is not in the range 1 to"),
        (r#"{"rows-high": 9999}"#, "rows-high", "9999 is not in the range 10000 to"),
        (r#"{"rows-critical": 5}"#, "rows-critical", "5 is not in the range 50000 to"),
        (r#"{"max-future": "2d"}"#, "max-future", "2d is not in the range 0s to 1d"),
        (r#"{"actions": []}"#, "actions", "an empty list"),
        (r#"{"results": []}"#, "results", "an empty list"),
        (r#"{"row-fields": 7}"#, "row-fields", "invalid type"),
        (r#"{"max-keys": 0}"#, "max-keys", "0 is not in the range 1 to 1000000"),
        (r#"{"state-bytes-max": 0}"#, "state-bytes-max", "0 is not in the range 1048576"),
    ];
    TRIAL.wrong_configurations(&cases);
    TRIAL.detector(r#"{"events": 83}"#);
}
