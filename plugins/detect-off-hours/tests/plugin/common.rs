//! What the tests share: accesses as rows, and a detector to feed them to.

use audit_detect::testing::{self, Trial};
use audit_plugin_sdk::lookup::Interval;
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_off_hours::DetectOffHours;

pub(crate) use audit_detect::testing::Random;

pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Monday, 2026-11-23, 00:00 UTC.
pub(crate) const MONDAY: i64 = 20_780 * DAY;

/// One row. Times count from `MONDAY`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Access {
    pub(crate) action: &'static str,
    pub(crate) result: Option<&'static str>,
    pub(crate) user: Option<String>,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A read that was received when it happened.
pub(crate) fn read(user: &str, time: i64) -> Access {
    Access {
        action: "data_read",
        result: Some("success"),
        user: Some(user.to_owned()),
        time: Some(time),
        received: Some(time),
        partition: 3,
        offset: time / MINUTE,
    }
}

/// An export that was received when it happened.
pub(crate) fn export(user: &str, time: i64) -> Access {
    Access { action: "data_export", ..read(user, time) }
}

/// A read that was received at another time than it says.
pub(crate) fn received(user: &str, time: i64, received: i64) -> Access {
    Access { received: Some(received), ..read(user, time) }
}

/// A batch of accesses.
pub(crate) fn batch(rows: &[Access]) -> Batch {
    fn column<'a, T>(rows: &'a [Access], value: impl Fn(&'a Access) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let absolute = |time: Option<i64>| time.map(|time| time.saturating_add(MONDAY));
    BatchBuilder::new(rows.len())
        .utf8("action_type", &column(rows, |row| Some(row.action)))
        .utf8("action_result", &column(rows, |row| row.result))
        .utf8("user_id", &column(rows, |row| row.user.as_deref()))
        .timestamp("event_timestamp", &column(rows, |row| absolute(row.time)))
        .timestamp("source_timestamp", &column(rows, |row| absolute(row.received)))
        .int32("source_partition", &column(rows, |row| Some(row.partition)))
        .int64("source_offset", &column(rows, |row| Some(row.offset)))
        .build()
}

/// How the promises of all detectors are checked of this one.
pub(crate) const TRIAL: Trial<DetectOffHours, Access> = Trial { version: 2, detector, judge };

/// A detector.
pub(crate) fn detector(config: &str) -> Detection<DetectOffHours> {
    Detection::new(config).expect("a good configuration")
}

/// Judges accesses in one batch, under the clock that the host would give.
pub(crate) fn judge(detector: &mut Detection<DetectOffHours>, rows: &[Access]) -> Vec<Alert> {
    let newest = rows.iter().filter_map(|row| row.received).max().unwrap_or(0);
    testing::judge(detector, newest.saturating_add(MONDAY), &batch(rows))
}

/// What a detector with that configuration says of accesses, all in one batch.
pub(crate) fn alerts(config: &str, rows: &[Access]) -> Vec<Alert> {
    judge(&mut detector(config), rows)
}

/// What the host tells alerts apart by: the rule, the key and the start of the window from `MONDAY`.
pub(crate) fn ids(alerts: &[Alert]) -> Vec<(&str, &str, i64)> {
    testing::ids(alerts, MONDAY)
}

/// An open stretch of a calendar, from `MONDAY`.
pub(crate) fn open(start: i64, end: i64) -> Interval {
    Interval { start: MONDAY + start, end: MONDAY + end, is_open: true, reason: String::new() }
}
