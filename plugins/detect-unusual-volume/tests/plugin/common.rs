//! Events as rows.

use audit_detect::testing::{DAY, HOUR, Row, RowEvent, SECOND, Trial, column};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use detect_unusual_volume::DetectUnusualVolume;

pub(crate) const TRIAL: Trial<Event> = Trial::new();

/// A day in the present, at midnight: a Monday.
pub(crate) const START: i64 = 20_003 * DAY;

/// One row. Times count from `START`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) user: Option<String>,
    pub(crate) action: &'static str,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A read that was received when it happened.
pub(crate) fn read(user: &str, time: i64) -> Event {
    Event {
        user: Some(user.to_owned()),
        action: "data_read",
        time: Some(time),
        received: Some(time),
        partition: 3,
        offset: time / SECOND,
    }
}

/// So many reads, spread over the hour that starts then.
pub(crate) fn reads(user: &str, hour: i64, count: u32) -> Vec<Event> {
    let step = HOUR / i64::from(count.max(1));
    (0..i64::from(count)).map(|index| read(user, hour + index * step)).collect()
}

/// The reads of some days: so many in each hour of a day.
pub(crate) fn days(
    user: &str,
    from: i64,
    until: i64,
    count: impl Fn(i64, i64) -> u32,
) -> Vec<Event> {
    let hours = (from * 24..until * 24).map(|hour| (hour, count(hour / 24, hour % 24)));
    hours.flat_map(|(hour, count)| reads(user, hour * HOUR, count)).collect()
}

/// From nine to five, 40 an hour, give or take 7, and nothing at weekends.
pub(crate) fn office(day: i64, hour: i64) -> u32 {
    let is_work = (9..17).contains(&hour) && day.rem_euclid(7) < 5;
    if is_work { 33 + ((day * 31 + hour * 17).rem_euclid(15)) as u32 } else { 0 }
}

impl Row for Event {
    type Detector = DetectUnusualVolume;
    const STATE_VERSION: u32 = 2;
    const START: i64 = START;

    fn event(&self) -> RowEvent {
        let &Self { time, received, partition, offset, .. } = self;
        RowEvent { time, received, partition, offset }
    }

    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder {
        batch
            .utf8("user_id", &column(rows, |row| row.user.as_deref()))
            .utf8("action_type", &column(rows, |row| Some(row.action)))
    }
}

pub(crate) type Detector = Detection<DetectUnusualVolume>;

/// Judges rows in batches of a size.
pub(crate) fn judge_by(detector: &mut Detector, rows: &[Event], batch_rows: usize) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for rows in rows.chunks(batch_rows) {
        alerts.extend(TRIAL.judge(detector, rows));
    }
    alerts
}

/// Judges rows.
pub(crate) fn judge(detector: &mut Detector, rows: &[Event]) -> Vec<Alert> {
    judge_by(detector, rows, 4_096)
}

/// A detector that has seen three weeks of an office.
pub(crate) fn experienced(users: &[&str]) -> Detector {
    let mut detector = TRIAL.detector("{}");
    for user in users {
        assert_eq!(judge(&mut detector, &days(user, 0, 21, office)), []);
    }
    detector
}

/// The rule, the hour counted from `START`, and the count of each alert.
pub(crate) fn reported(alerts: &[Alert]) -> Vec<(&str, i64, u64)> {
    let hour = |alert: &Alert| (alert.window_start - START) / HOUR;
    alerts.iter().map(|alert| (&*alert.rule, hour(alert), alert.count)).collect()
}
