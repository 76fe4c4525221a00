//! What the tests share: events as rows, and a detector to feed them to.

use audit_detect::testing::{self, Trial};
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_unusual_volume::DetectUnusualVolume;

pub(crate) use audit_detect::testing::Random;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A day in the present, at midnight: a Monday.
pub(crate) const START: i64 = 20_003 * DAY;

/// One row. Times count from `START`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) user: Option<String>,
    pub(crate) action: &'static str,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A read that was received when it happened.
pub(crate) fn read(user: &str, time: i64) -> Row {
    Row {
        user: Some(user.to_owned()),
        action: "data_read",
        time: Some(time),
        received: Some(time),
        partition: 3,
        offset: time / SECOND,
    }
}

/// So many reads, spread over the hour that starts then.
pub(crate) fn reads(user: &str, hour: i64, count: u32) -> Vec<Row> {
    let step = HOUR / i64::from(count.max(1));
    (0..i64::from(count)).map(|index| read(user, hour + index * step)).collect()
}

/// The reads of some days: so many in each hour of a day.
pub(crate) fn days(user: &str, from: i64, until: i64, count: impl Fn(i64, i64) -> u32) -> Vec<Row> {
    let hours = (from * 24..until * 24).map(|hour| (hour, count(hour / 24, hour % 24)));
    hours.flat_map(|(hour, count)| reads(user, hour * HOUR, count)).collect()
}

/// From nine to five, 40 an hour, give or take 7, and nothing at weekends.
pub(crate) fn office(day: i64, hour: i64) -> u32 {
    let is_work = (9..17).contains(&hour) && day.rem_euclid(7) < 5;
    if is_work { 33 + ((day * 31 + hour * 17).rem_euclid(15)) as u32 } else { 0 }
}

/// A batch of rows.
pub(crate) fn batch(rows: &[Row]) -> Batch {
    let users: Vec<_> = rows.iter().map(|row| row.user.as_deref()).collect();
    let actions: Vec<_> = rows.iter().map(|row| Some(row.action)).collect();
    let times: Vec<_> =
        rows.iter().map(|row| row.time.map(|time| START.saturating_add(time))).collect();
    let received: Vec<_> =
        rows.iter().map(|row| row.received.map(|time| START.saturating_add(time))).collect();
    let partitions: Vec<_> = rows.iter().map(|row| Some(row.partition)).collect();
    let offsets: Vec<_> = rows.iter().map(|row| Some(row.offset)).collect();
    BatchBuilder::new(rows.len())
        .utf8("user_id", &users)
        .utf8("action_type", &actions)
        .timestamp("event_timestamp", &times)
        .timestamp("source_timestamp", &received)
        .int32("source_partition", &partitions)
        .int64("source_offset", &offsets)
        .build()
}

pub(crate) type Detector = Detection<DetectUnusualVolume>;

/// How the promises of all detectors are checked of this one.
pub(crate) const TRIAL: Trial<DetectUnusualVolume, Row> = Trial { version: 2, detector, judge };

/// A detector.
pub(crate) fn detector(config: &str) -> Detector {
    Detection::new(config).expect("a good configuration")
}

/// Judges rows in batches of so many, under the clock that the host would give.
pub(crate) fn judge_by(detector: &mut Detector, rows: &[Row], batch_rows: usize) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for rows in rows.chunks(batch_rows) {
        let newest = rows.iter().filter_map(|row| row.received).max().unwrap_or(0);
        alerts.extend(testing::judge(detector, START.saturating_add(newest), &batch(rows)));
    }
    alerts
}

/// Judges rows.
pub(crate) fn judge(detector: &mut Detector, rows: &[Row]) -> Vec<Alert> {
    judge_by(detector, rows, 4_096)
}

/// A detector that has seen three weeks of an office.
pub(crate) fn experienced(users: &[&str]) -> Detector {
    let mut detector = detector("{}");
    for user in users {
        assert_eq!(judge(&mut detector, &days(user, 0, 21, office)), []);
    }
    detector
}

/// The rule, the hour counted from `START`, and the count of each alert.
pub(crate) fn told(alerts: &[Alert]) -> Vec<(&str, i64, u64)> {
    let told = |alert: &'_ Alert| ((alert.window_start - START) / HOUR, alert.count);
    alerts.iter().map(|alert| (&*alert.rule, told(alert).0, told(alert).1)).collect()
}
