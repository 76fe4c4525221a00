//! Exports as rows.

use audit_detect::testing::{Row, RowEvent, SECOND, Trial, column};
use audit_plugin_sdk::testing::BatchBuilder;
use detect_mass_export::DetectMassExport;

pub(crate) const TRIAL: Trial<Export> = Trial::new();

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

impl Row for Export {
    type Detector = DetectMassExport;
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
            .utf8("details", &column(rows, |row| row.details.as_deref()))
    }
}
