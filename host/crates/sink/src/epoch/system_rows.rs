//! Rows that the host writes itself: the changes of its plugins and lookups, in the table that they judge for.
//!
//! Such a row comes from no record, so it has no place in Kafka: `source_topic`, `source_partition` and
//! `source_offset` are null. They never are for an event from Kafka, which is how a change that the host made is
//! distinguished from an event that only looks like one.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::{Change, schema};
use uuid::Uuid;

use crate::error::Error;

/// Values in the rows of plugin changes.
pub(crate) const ACTION_TYPE: &str = "config_update";
pub(crate) const RESOURCE_TYPE: &str = "plugin";
/// In place of [`RESOURCE_TYPE`], in the rows of lookup changes.
const RESOURCE_TYPE_LOOKUP: &str = "lookup";
pub(crate) const USER_ID: &str = "audit-host";

/// Columns that such a row fills. Every other one is null, so no table may require it.
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

/// One row per change, without the time of ingestion.
pub(crate) fn to_rows(changes: &[Change]) -> Result<RecordBatch, Error> {
    let text = |of: &dyn Fn(&Change) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(changes.iter().map(of)))
    };
    let always = |value: &str| text(&|_| value.to_owned());
    let result = |change: &Change| {
        let result = if change.is_success() { "success" } else { "failure" };
        result.to_owned()
    };
    let resource_type = |change: &Change| {
        let resource_type = match change {
            Change::Plugin(_) => RESOURCE_TYPE,
            Change::Lookup(_) => RESOURCE_TYPE_LOOKUP,
        };
        resource_type.to_owned()
    };
    let times = TimestampMicrosecondArray::from_iter_values(changes.iter().map(Change::at));
    let details = changes.iter().map(details).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_from_iter([
        // Increases within a process, which keeps changes of the same microsecond in order.
        (schema::AUDIT_ID, text(&|_| Uuid::now_v7().to_string())),
        (schema::EVENT_TIMESTAMP, Arc::new(times.with_timezone(schema::UTC)) as ArrayRef),
        ("user_id", always(USER_ID)),
        (schema::ACTION_TYPE, always(ACTION_TYPE)),
        ("resource_type", text(&resource_type)),
        ("resource_id", text(&|change| change.name().to_owned())),
        ("resource_name", text(&|change| change.source().to_owned())),
        ("action_result", text(&result)),
        ("details", Arc::new(StringArray::from_iter_values(details))),
    ])?)
}

fn details(change: &Change) -> Result<String, Error> {
    serde_json::to_string(change).map_err(|cause| Error::Damaged {
        what: "a change of plugins",
        location: "memory".to_owned(),
        problem: cause.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::AsArray as _;
    use audit_core::{LookupChange, LookupChangeKind};

    use super::*;

    /// Other programs read these values: they must not change.
    #[test]
    fn a_change_of_a_lookup_has_the_values_that_tables_hold() {
        let change = LookupChange {
            kind: LookupChangeKind::Refused,
            lookup: "roles".to_owned(),
            source: "/lookups/roles.csv".to_owned(),
            at: 7,
            before: Some("aa".to_owned()),
            after: None,
            from: BTreeMap::new(),
            reason: "it has no rows".to_owned(),
        };
        let rows = to_rows(&[change.into()]).unwrap();
        for (column, expect) in [
            ("user_id", "audit-host"),
            (schema::ACTION_TYPE, "config_update"),
            ("resource_type", "lookup"),
            ("resource_id", "roles"),
            ("resource_name", "/lookups/roles.csv"),
            ("action_result", "failure"),
            (
                "details",
                concat!(
                    r#"{"kind":"lookup-refused","plugin":"roles","source":"/lookups/roles.csv","at":7,"#,
                    r#""before":{"name":"roles","version":"","sha256":"aa","config_sha256":""},"#,
                    r#""after":null,"from":{},"reason":"it has no rows"}"#,
                ),
            ),
        ] {
            let values = rows.column_by_name(column).unwrap().as_string::<i32>();
            assert_eq!(values.value(0), expect, "{column}");
        }
    }
}
