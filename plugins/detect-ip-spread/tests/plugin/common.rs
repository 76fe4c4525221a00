//! What the tests share: users at addresses as rows, and a detector to feed them to.

use audit_detect::testing::{self, Trial};
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_ip_spread::DetectIpSpread;

pub(crate) use audit_detect::testing::{Random, rules};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A day in the present, at midnight.
pub(crate) const START: i64 = 20_000 * DAY;

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

/// A batch of them.
pub(crate) fn batch(rows: &[Seen]) -> Batch {
    let column = |value: fn(&Seen) -> Option<&str>| rows.iter().map(value).collect::<Vec<_>>();
    let times = |value: fn(&Seen) -> Option<i64>| {
        rows.iter()
            .map(|seen| value(seen).map(|time| START.saturating_add(time)))
            .collect::<Vec<_>>()
    };
    let offsets: Vec<_> = rows.iter().map(|seen| Some(seen.offset)).collect();
    BatchBuilder::new(rows.len())
        .utf8("action_type", &column(|seen| Some(seen.action)))
        .utf8("action_result", &column(|seen| Some(seen.result)))
        .utf8("user_id", &column(|seen| seen.user.as_deref()))
        .utf8("ip_address", &column(|seen| seen.address.as_deref()))
        .timestamp("event_timestamp", &times(|seen| seen.time))
        .timestamp("source_timestamp", &times(|seen| seen.received))
        .int32("source_partition", &vec![Some(3); rows.len()])
        .int64("source_offset", &offsets)
        .build()
}

/// How the promises of all detectors are checked of this one.
pub(crate) const TRIAL: Trial<DetectIpSpread, Seen> = Trial { version: 2, detector, judge };

/// A detector.
pub(crate) fn detector(config: &str) -> Detection<DetectIpSpread> {
    Detection::new(config).expect("a good configuration")
}

/// Judges rows in one batch, under the clock that the host would give.
pub(crate) fn judge(detector: &mut Detection<DetectIpSpread>, rows: &[Seen]) -> Vec<Alert> {
    let newest = rows.iter().filter_map(|seen| seen.received).max().unwrap_or(0);
    testing::judge(detector, START.saturating_add(newest), &batch(rows))
}

/// The alerts of a detector of its own.
pub(crate) fn alerts(config: &str, rows: &[Seen]) -> Vec<Alert> {
    judge(&mut detector(config), rows)
}
