//! What the tests share: exports as rows, and a detector to feed them to.

use audit_detect::testing::{self, Trial};
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_mass_export::DetectMassExport;

pub(crate) use audit_detect::testing::{Random, rules};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A day in the present, at midnight.
pub(crate) const START: i64 = 20_000 * DAY;

/// One row. Times count from `START`.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    pub(crate) user: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) offset: i64,
}

/// An export of so many rows that was received when it happened.
pub(crate) fn export(user: &str, n_rows: u64, time: i64) -> Export {
    Export {
        action: "data_export",
        result: "success",
        user: Some(user.to_owned()),
        details: Some(format!(r#"{{"format": "CSV", "rows_exported": {n_rows}}}"#)),
        time: Some(time),
        received: Some(time),
        offset: time / SECOND,
    }
}

/// An export that was received at another time than it says.
pub(crate) fn received(user: &str, n_rows: u64, time: i64, received: i64) -> Export {
    Export { received: Some(received), ..export(user, n_rows, time) }
}

/// Exports without rows, one every so often.
pub(crate) fn every(user: &str, n: i64, step: i64) -> Vec<Export> {
    (0..n).map(|index| export(user, 0, index * step)).collect()
}

/// A batch of exports.
pub(crate) fn batch(exports: &[Export]) -> Batch {
    let column = |value: fn(&Export) -> Option<&str>| exports.iter().map(value).collect::<Vec<_>>();
    let times = |value: fn(&Export) -> Option<i64>| {
        exports
            .iter()
            .map(|export| value(export).map(|time| START.saturating_add(time)))
            .collect::<Vec<_>>()
    };
    let offsets: Vec<_> = exports.iter().map(|export| Some(export.offset)).collect();
    BatchBuilder::new(exports.len())
        .utf8("action_type", &column(|export| Some(export.action)))
        .utf8("action_result", &column(|export| Some(export.result)))
        .utf8("user_id", &column(|export| export.user.as_deref()))
        .utf8("details", &column(|export| export.details.as_deref()))
        .timestamp("event_timestamp", &times(|export| export.time))
        .timestamp("source_timestamp", &times(|export| export.received))
        .int32("source_partition", &vec![Some(3); exports.len()])
        .int64("source_offset", &offsets)
        .build()
}

/// How the promises of all detectors are checked of this one.
pub(crate) const TRIAL: Trial<DetectMassExport, Export> = Trial { version: 2, detector, judge };

/// A detector.
pub(crate) fn detector(config: &str) -> Detection<DetectMassExport> {
    Detection::new(config).expect("a good configuration")
}

/// Judges exports in one batch, under the clock that the host would give.
pub(crate) fn judge(detector: &mut Detection<DetectMassExport>, exports: &[Export]) -> Vec<Alert> {
    let newest = exports.iter().filter_map(|export| export.received).max().unwrap_or(0);
    testing::judge(detector, START.saturating_add(newest), &batch(exports))
}

/// The alerts of a detector of its own.
pub(crate) fn alerts(config: &str, exports: &[Export]) -> Vec<Alert> {
    judge(&mut detector(config), exports)
}
