//! Whether people were at work.

use audit_plugin_sdk::lookup::Interval;
use audit_plugin_sdk::testing::give_calendar;

use crate::common::{DAY, HOUR, MINUTE, MONDAY, Row, at, batch, business_hours, enrich, transform};

fn check(config: &str, cases: &[(i64, bool)]) {
    let rows: Vec<Row> = cases.iter().map(|(time, _)| at(*time)).collect();
    let judgement = enrich(config, &rows);
    for ((time, expected), found) in cases.iter().zip(business_hours(&judgement, rows.len())) {
        assert_eq!(found, Some(*expected), "{config}: {} h", (time - MONDAY) as f64 / HOUR as f64);
    }
}

#[test]
fn by_default_from_nine_to_five_in_utc() {
    check(
        "{}",
        &[
            (MONDAY + 9 * HOUR - 1, false),
            (MONDAY + 9 * HOUR, true),
            (MONDAY + 17 * HOUR - 1, true),
            (MONDAY + 17 * HOUR, false),
            (MONDAY + 17 * HOUR + 59 * MINUTE, false),
            (MONDAY + 4 * DAY + 12 * HOUR, true),
            (MONDAY + 5 * DAY + 12 * HOUR, false),
            (MONDAY + 6 * DAY + 12 * HOUR, false),
            (MONDAY - 365 * DAY + 12 * HOUR, false),
            (MONDAY - 364 * DAY + 12 * HOUR, true),
        ],
    );
}

#[test]
fn other_hours_and_offsets() {
    let config = r#"{"utc-offset": "+05:30", "hours": ["sun-thu 08:00-16:00"]}"#;
    check(
        config,
        &[
            (MONDAY + 2 * HOUR + 30 * MINUTE - 1, false),
            (MONDAY + 2 * HOUR + 30 * MINUTE, true),
            (MONDAY + 10 * HOUR + 30 * MINUTE, false),
            (MONDAY + 4 * DAY + 5 * HOUR, false),
            (MONDAY - DAY + 5 * HOUR, true),
        ],
    );
}

/// In Berlin clocks go forward on 2026-03-29: nine o'clock is 8 UTC before and 7 UTC after.
#[test]
fn a_calendar_knows_daylight_saving_time_and_holidays() {
    let friday = MONDAY - 241 * DAY;
    let monday = friday + 3 * DAY;
    let open = |start, hours| Interval {
        start,
        end: start + hours * HOUR,
        is_open: true,
        reason: String::new(),
    };
    // The Tuesday is a holiday.
    give_calendar(
        "office",
        vec![
            open(friday + 8 * HOUR, 8),
            open(monday + 7 * HOUR, 8),
            open(monday + 2 * DAY + 7 * HOUR, 8),
        ],
    );
    check(
        r#"{"calendar": "office"}"#,
        &[
            (friday + 8 * HOUR - 1, false),
            (friday + 8 * HOUR, true),
            (friday + 16 * HOUR, false),
            (friday + DAY + 12 * HOUR, false),
            (monday + 7 * HOUR - 1, false),
            (monday + 7 * HOUR, true),
            (monday + 15 * HOUR - 1, true),
            (monday + 15 * HOUR, false),
            (monday + DAY + 12 * HOUR, false),
            (monday + 2 * DAY + 12 * HOUR, true),
        ],
    );
}

#[test]
fn a_calendar_may_change_between_batches() {
    let open = |start| Interval { start, end: start + HOUR, is_open: true, reason: String::new() };
    give_calendar("office", vec![open(MONDAY)]);
    let mut plugin = transform(r#"{"calendar": "office"}"#);
    let rows = batch(&[at(MONDAY), at(MONDAY + HOUR)]);
    let before = plugin.process(&rows).unwrap();
    assert_eq!(business_hours(&before, 2), [Some(true), Some(false)]);
    give_calendar("office", vec![open(MONDAY + HOUR)]);
    let after = plugin.process(&rows).unwrap();
    assert_eq!(business_hours(&after, 2), [Some(false), Some(true)]);
}

/// Who dates events ahead does not choose the hour: the Kafka time counts from five minutes on.
#[test]
fn times_ahead_of_kafka_are_cut() {
    let received = |time, received| Row { received: Some(received), ..at(time) };
    let noon = MONDAY + 12 * HOUR;
    let (night, evening) = (MONDAY + 3 * HOUR, MONDAY + 17 * HOUR);
    let rows = [
        received(noon, night),
        received(i64::MAX, noon),
        received(evening + 4 * MINUTE, evening - MINUTE),
        received(evening + 10 * MINUTE, evening - 6 * MINUTE),
        received(noon - DAY, noon),
        Row { received: None, ..at(noon) },
        Row { time: None, ..at(noon) },
        at(i64::MIN),
    ];
    let found = business_hours(&enrich("{}", &rows), rows.len());
    // The first number that there is: a Sunday.
    let expected = [false, true, false, true, false, true].map(Some);
    assert_eq!(found, [&expected[..], &[None, Some(false)]].concat());
}
