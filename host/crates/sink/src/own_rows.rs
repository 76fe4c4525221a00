//! Rows that the host writes itself: what happened to its plugins, in the table that they guard.
//!
//! Such a row comes from no record, so it has no place in Kafka: `source_topic`, `source_partition` and
//! `source_offset` are null. Nothing that arrives through Kafka can have that, which is how a change of
//! the host's is told from an event that only looks like one.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::{PluginChange, schema};
use uuid::Uuid;

use crate::error::Error;

/// What stands in the rows of plugin changes.
pub(crate) const ACTION_TYPE: &str = "config_update";
pub(crate) const RESOURCE_TYPE: &str = "plugin";
/// And in those of tables and calendars that plugins look things up in.
const RESOURCE_TYPE_LOOKUP: &str = "lookup";
pub(crate) const USER_ID: &str = "audit-host";

/// Columns that a row of the host's fills. Every other one is null, so no table may require it.
pub(crate) const FILLED: [&str; 10] = [
    schema::AUDIT_ID,
    schema::EVENT_TIMESTAMP,
    schema::INGESTION_TIMESTAMP,
    "user_id",
    schema::ACTION_TYPE,
    "resource_type",
    "resource_id",
    "resource_name",
    "action_result",
    "details",
];

/// One row a change, without the time of ingestion.
pub(crate) fn to_rows(changes: &[PluginChange]) -> Result<RecordBatch, Error> {
    let text = |of: &dyn Fn(&PluginChange) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(changes.iter().map(of)))
    };
    let always = |value: &str| text(&|_| value.to_owned());
    let result = |change: &PluginChange| {
        let result = if change.kind.is_success() { "success" } else { "failure" };
        result.to_owned()
    };
    let resource_type = |change: &PluginChange| {
        let of = if change.kind.is_of_lookup() { RESOURCE_TYPE_LOOKUP } else { RESOURCE_TYPE };
        of.to_owned()
    };
    let times = TimestampMicrosecondArray::from_iter_values(changes.iter().map(|c| c.at));
    let details = changes.iter().map(details).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_from_iter([
        // Grows within a process, which keeps changes of the same microsecond in order.
        (schema::AUDIT_ID, text(&|_| Uuid::now_v7().to_string())),
        (schema::EVENT_TIMESTAMP, Arc::new(times.with_timezone(schema::UTC)) as ArrayRef),
        ("user_id", always(USER_ID)),
        (schema::ACTION_TYPE, always(ACTION_TYPE)),
        ("resource_type", text(&resource_type)),
        ("resource_id", text(&|change| change.plugin.clone())),
        ("resource_name", text(&|change| change.source.clone())),
        ("action_result", text(&result)),
        ("details", Arc::new(StringArray::from_iter_values(details))),
    ])?)
}

fn details(change: &PluginChange) -> Result<String, Error> {
    serde_json::to_string(change).map_err(|cause| Error::Damaged {
        what: "a change of plugins",
        location: "memory".to_owned(),
        problem: cause.to_string(),
    })
}
