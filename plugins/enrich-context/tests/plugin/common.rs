//! What the tests share: events as rows, and a transform to feed them to.

use audit_plugin_sdk::testing::{BatchBuilder, Transformer};
use audit_plugin_sdk::{Batch, Column, Judgement};
use enrich_context::EnrichContext;

pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Monday, 2026-11-23, 00:00 UTC.
pub(crate) const MONDAY: i64 = 20_780 * DAY;

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) address: Option<&'static str>,
    pub(crate) agent: Option<&'static str>,
    pub(crate) user: Option<&'static str>,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
}

/// An event on Monday at noon, received when it happened.
pub(crate) const ROW: Row = Row {
    address: Some("192.168.1.10"),
    agent: Some("API Client/1.0"),
    user: Some("user_001"),
    time: Some(MONDAY + 12 * HOUR),
    received: Some(MONDAY + 12 * HOUR),
};

/// An event that was received when it happened.
pub(crate) fn at(time: i64) -> Row {
    Row { time: Some(time), received: Some(time), ..ROW }
}

pub(crate) fn from(address: Option<&'static str>) -> Row {
    Row { address, ..ROW }
}

/// A batch of events.
pub(crate) fn batch(rows: &[Row]) -> Batch {
    fn column<T>(rows: &[Row], value: fn(&Row) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    BatchBuilder::new(rows.len())
        .utf8("ip_address", &column(rows, |row| row.address))
        .utf8("user_agent", &column(rows, |row| row.agent))
        .utf8("user_id", &column(rows, |row| row.user))
        .timestamp("event_timestamp", &column(rows, |row| row.time))
        .timestamp("source_timestamp", &column(rows, |row| row.received))
        .build()
}

/// A transform.
pub(crate) fn transform(config: &str) -> Transformer<EnrichContext> {
    Transformer::new(config).expect("a good configuration")
}

/// What one batch becomes.
pub(crate) fn enrich(config: &str, rows: &[Row]) -> Judgement {
    let judgement = transform(config).process(&batch(rows)).expect("a judgement");
    assert!(judgement.quarantined().is_empty(), "no row is refused");
    judgement
}

/// The column `business_hours`.
pub(crate) fn business_hours(judgement: &Judgement, rows: usize) -> Vec<Option<bool>> {
    let found = judgement.columns().iter().find(|(name, _)| name == "business_hours");
    let Some((_, Column::Boolean(column))) = found else {
        panic!("no column business_hours was returned");
    };
    (0..rows).map(|row| column.get(row)).collect()
}
