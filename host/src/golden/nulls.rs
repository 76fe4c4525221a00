//! Events without some of their fields: only the fields that partition the table are in every event.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{Field, Int64Type};
use arrow::record_batch::RecordBatch;
use audit_chain::Plugin;
use audit_core::{Batch, schema};

/// Which columns are null in which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nulls {
    columns: Vec<String>,
    /// In the rows whose offset is a multiple of this: of the record, so that it does not matter where a batch
    /// is cut.
    every: i64,
}

impl Nulls {
    /// Every event as it is.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// The variants of a case for a plugin: each column that it reads in every second event, then all of them
    /// in every event.
    pub(super) fn variants(plugin: &Plugin) -> Vec<Self> {
        let decoded = schema::decoded();
        let may_be_null = |name: &&String| {
            let field = decoded.field_with_name(name);
            let is_required = schema::REQUIRED_FIELDS.contains(&name.as_str());
            !is_required && field.is_ok_and(Field::is_nullable)
        };
        let columns: Vec<String> = plugin.reads().iter().filter(may_be_null).cloned().collect();
        let of_one = |name: &String| Self { columns: vec![name.clone()], every: 2 };
        let mut variants: Vec<_> = columns.iter().map(of_one).collect();
        if !columns.is_empty() {
            variants.push(Self { columns, every: 1 });
        }
        variants
    }

    /// For people: `user_id null in every second event`.
    pub(super) fn shown(&self) -> String {
        let which = if self.every == 1 { "every event" } else { "every second event" };
        format!("{} null in {which}", self.columns.join(", "))
    }

    /// The batch with the nulls.
    pub(super) fn applied(&self, batch: Batch) -> Batch {
        if self.columns.is_empty() {
            return batch;
        }
        let columns = self.replaced(&batch.columns);
        Batch { columns: columns.unwrap_or_else(|| batch.columns.clone()), ..batch }
    }

    /// `None` where the batch lacks a column, which a decoded one does not.
    fn replaced(&self, rows: &RecordBatch) -> Option<RecordBatch> {
        let offsets =
            rows.column_by_name(schema::SOURCE_OFFSET)?.as_primitive_opt::<Int64Type>()?;
        let gone: BooleanArray =
            offsets.values().iter().map(|offset| Some(offset % self.every == 0)).collect();
        let mut arrays = rows.columns().to_vec();
        for name in &self.columns {
            let place = arrays.get_mut(rows.schema().index_of(name).ok()?)?;
            *place = nullif(place, &gone).ok()?;
        }
        RecordBatch::try_new(Arc::clone(&rows.schema()), arrays).ok()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;
    use crate::feed::{Feed, Stamp};

    #[test]
    fn rows_are_chosen_by_offset_wherever_a_batch_is_cut() {
        let event = r#"{"event_timestamp":"2025-01-16T08:00:00Z","action_type":"x","user_id":"u"}"#;
        let nulls = Nulls { columns: vec!["user_id".to_owned()], every: 2 };
        let mut feed = Feed::new("t");
        for n_events in [1, 2, 1] {
            let batch = feed.batch(&vec![event; n_events], Stamp::EventTime).unwrap();
            let first = batch.raw.records[0].offset;
            let rows = nulls.applied(batch).columns;
            let users = rows.column_by_name("user_id").unwrap();
            for row in 0..n_events {
                assert_eq!(users.is_null(row), (first + row as i64) % 2 == 0, "{first} {row}");
            }
            assert_eq!(rows.column_by_name("action_type").unwrap().null_count(), 0);
        }
    }
}
