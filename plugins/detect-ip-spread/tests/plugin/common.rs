//! Users at addresses as rows.

use audit_detect::testing::{MINUTE, Row, RowEvent, SECOND, Trial, column};
use audit_plugin_sdk::testing::BatchBuilder;
use detect_ip_spread::DetectIpSpread;

pub(crate) const TRIAL: Trial<Seen> = Trial::new();

/// One row. Times count from `START`.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    pub(crate) user: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) offset: i64,
}

/// A user seen at an address, received when it happened.
pub(crate) fn seen(user: &str, address: &str, time: i64) -> Seen {
    Seen {
        action: "data_read",
        result: "success",
        user: Some(user.to_owned()),
        address: Some(address.to_owned()),
        time: Some(time),
        received: Some(time),
        offset: time / SECOND,
    }
}

/// Received at another time than it says.
pub(crate) fn received(user: &str, address: &str, time: i64, received: i64) -> Seen {
    Seen { received: Some(received), ..seen(user, address, time) }
}

/// One user at these minutes, at addresses that end so.
pub(crate) fn at(minutes: &[(i64, u8)]) -> Vec<Seen> {
    let seen = |(minute, end): &(i64, u8)| seen("u", &format!("203.0.113.{end}"), minute * MINUTE);
    minutes.iter().map(seen).collect()
}

impl Row for Seen {
    type Detector = DetectIpSpread;
    const STATE_VERSION: u32 = 2;

    fn event(&self) -> RowEvent {
        let &Self { time, received, offset, .. } = self;
        RowEvent { time, received, partition: 3, offset }
    }

    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder {
        batch
            .utf8("action_type", &column(rows, |row| Some(row.action)))
            .utf8("action_result", &column(rows, |row| Some(row.result)))
            .utf8("user_id", &column(rows, |row| row.user.as_deref()))
            .utf8("ip_address", &column(rows, |row| row.address.as_deref()))
    }
}
