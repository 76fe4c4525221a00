//! Accesses as rows.

use audit_detect::testing::{DAY, MINUTE, Row, RowEvent, Trial, column};
use audit_plugin_sdk::lookup::Interval;
use audit_plugin_sdk::testing::BatchBuilder;
use detect_off_hours::DetectOffHours;

pub(crate) const TRIAL: Trial<Access> = Trial::new();

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

impl Row for Access {
    type Detector = DetectOffHours;
    const STATE_VERSION: u32 = 2;
    const START: i64 = MONDAY;

    fn event(&self) -> RowEvent {
        let &Self { time, received, partition, offset, .. } = self;
        RowEvent { time, received, partition, offset }
    }

    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder {
        batch
            .utf8("action_type", &column(rows, |row| Some(row.action)))
            .utf8("action_result", &column(rows, |row| row.result))
            .utf8("user_id", &column(rows, |row| row.user.as_deref()))
    }
}

/// An open stretch of a calendar, from `MONDAY`.
pub(crate) fn open(start: i64, end: i64) -> Interval {
    Interval { start: MONDAY + start, end: MONDAY + end, is_open: true, reason: String::new() }
}
