//! Which times lie outside.

use audit_detect::testing::{DAY, HOUR, MINUTE};
use audit_plugin_sdk::testing::{Table, give_calendar, give_table, take_log};

use crate::common::{MONDAY, TRIAL, open, read};

/// Whether a read at each of the times raises an alert, each asked of a detector of its own.
fn check(config: &str, cases: &[(i64, bool)]) {
    for (time, expected) in cases {
        let n_alerts = TRIAL.alerts(config, &[read("user_001", *time)]).len();
        assert_eq!(n_alerts, usize::from(*expected), "{config}: {} h", *time as f64 / HOUR as f64);
    }
}

#[test]
fn by_default_nine_to_five_in_utc() {
    check(
        "{}",
        &[
            (9 * HOUR - 1, true),
            (9 * HOUR, false),
            (17 * HOUR - 1, false),
            (17 * HOUR, true),
            // Where `HOUR(event_timestamp) > 17` is silent.
            (17 * HOUR + 59 * MINUTE, true),
            (18 * HOUR, true),
            (4 * DAY + 12 * HOUR, false),
            (5 * DAY + 12 * HOUR, true),
            (6 * DAY + 12 * HOUR, true),
            (7 * DAY + 12 * HOUR, false),
        ],
    );
}

#[test]
fn other_hours_at_another_offset() {
    let config = r#"{"utc-offset": "-08:00", "hours": ["mon-fri 22:00-06:00"]}"#;
    check(
        config,
        &[
            (DAY + 6 * HOUR - 1, true),
            (DAY + 6 * HOUR, false),
            (DAY + 14 * HOUR - 1, false),
            (DAY + 14 * HOUR, true),
        ],
    );
}

/// In Berlin clocks go forward on 2026-03-29: nine o'clock is 8 UTC before and 7 UTC after. Tuesday is
/// a holiday.
#[test]
fn a_calendar_knows_daylight_saving_time_and_holidays() {
    let friday = -241 * DAY;
    let monday = friday + 3 * DAY;
    give_calendar(
        "office",
        vec![
            open(friday + 8 * HOUR, friday + 16 * HOUR),
            open(monday + 7 * HOUR, monday + 15 * HOUR),
            open(monday + 2 * DAY + 7 * HOUR, monday + 2 * DAY + 15 * HOUR),
        ],
    );
    check(
        r#"{"calendar": "office"}"#,
        &[
            (friday + 8 * HOUR - 1, true),
            (friday + 8 * HOUR, false),
            (friday + 16 * HOUR, true),
            (monday + 7 * HOUR - 1, true),
            (monday + 7 * HOUR, false),
            (monday + 15 * HOUR - 1, false),
            (monday + 15 * HOUR, true),
            (monday + DAY + 12 * HOUR, true),
            (monday + 2 * DAY + 7 * HOUR, false),
        ],
    );
    let night_and_holiday = [monday + 15 * HOUR, monday + DAY + 12 * HOUR, monday + 2 * DAY];
    let rows = night_and_holiday.map(|time| read("user_001", time));
    assert_eq!(TRIAL.alerts(r#"{"calendar": "office"}"#, &rows).len(), 1, "one stretch, one alert");
}

#[test]
fn a_calendar_may_change_between_batches() {
    give_calendar("office", vec![open(0, HOUR)]);
    let mut detector = TRIAL.detector(r#"{"calendar": "office"}"#);
    assert!(TRIAL.judge(&mut detector, &[read("user_001", MINUTE)]).is_empty());
    give_calendar("office", vec![open(HOUR, 2 * HOUR)]);
    assert_eq!(TRIAL.judge(&mut detector, &[read("user_001", 2 * MINUTE)]).len(), 1);
    assert!(TRIAL.judge(&mut detector, &[read("user_001", HOUR)]).is_empty());
}

/// The night shift works when the office sleeps, from the day on which the table says so.
#[test]
fn users_have_calendars_of_their_own() {
    let text = "user_id,calendar,valid_from,valid_to
        night_1,night,2026-01-01T00:00:00Z,2026-11-24T00:00:00Z
        night_1,,2026-11-24T00:00:00Z,
        typo_1,nihgt,2026-01-01T00:00:00Z,";
    give_table("roles", Table::from_csv("user_id", text).temporal("valid_from", "valid_to"));
    give_calendar("night", vec![open(0, 6 * HOUR), open(22 * HOUR, 30 * HOUR)]);
    let config = r#"{"calendars": {"table": "roles", "column": "calendar"}}"#;
    let cases = [
        ("night_1", 3 * HOUR, false),
        ("night_1", 6 * HOUR - 1, false),
        ("night_1", 6 * HOUR, true),
        ("night_1", 12 * HOUR, true),
        ("night_1", 24 * HOUR - 1, false),
        // From Tuesday on it works like everybody.
        ("night_1", 24 * HOUR, true),
        ("night_1", 36 * HOUR, false),
        ("user_001", 3 * HOUR, true),
        ("user_001", 12 * HOUR, false),
        ("typo_1", 3 * HOUR, true),
        ("typo_1", 12 * HOUR, false),
    ];
    for (user, time, expected) in cases {
        let found = TRIAL.alerts(config, &[read(user, time)]);
        assert_eq!(!found.is_empty(), expected, "{user} at {time}");
    }
    let rows = cases.map(|(user, time, _)| read(user, time));
    take_log();
    let found = TRIAL.judge(&mut TRIAL.detector(config), &rows);
    assert_eq!(found.len(), 4, "{found:?}");
    let warnings = take_log();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].1.contains("[calendars.nihgt]"), "{warnings:?}");
}

#[test]
fn calendars_of_users_may_change_between_batches() {
    let give = |calendar: &str| {
        let text = format!("user_id,calendar\nuser_001,{calendar}");
        give_table("shifts", Table::from_csv("user_id", &text));
    };
    give("night");
    give_calendar("night", vec![open(0, 6 * HOUR)]);
    let config = r#"{"calendars": {"table": "shifts", "column": "calendar"}}"#;
    let mut detector = TRIAL.detector(config);
    assert!(TRIAL.judge(&mut detector, &[read("user_001", HOUR)]).is_empty());
    give_calendar("night", vec![open(DAY, DAY + HOUR)]);
    assert_eq!(TRIAL.judge(&mut detector, &[read("user_001", HOUR)]).len(), 1);
    give("");
    assert!(TRIAL.judge(&mut detector, &[read("user_001", 12 * HOUR)]).is_empty());
}

#[test]
fn a_calendar_that_never_opens_is_told_once_a_month() {
    give_calendar("closed", Vec::new());
    let rows: Vec<_> = (0..90).map(|day| read("user_001", day * DAY)).collect();
    let found = TRIAL.alerts(r#"{"calendar": "closed"}"#, &rows);
    assert!((3..=4).contains(&found.len()), "{}", found.len());
    for alert in &found {
        assert!(alert.window_start > MONDAY - 31 * DAY && alert.window_start <= alert.first_event);
    }
}
