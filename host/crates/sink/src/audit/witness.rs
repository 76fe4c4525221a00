//! A row of the newest commit, looked up at the start.
//!
//! Table properties say how far Kafka was read. A rollback of the table to an older snapshot leaves them as they are,
//! and reading on would lose every row in between. So each commit records where one of its rows is.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use audit_core::{TopicPartition, schema};
use futures::TryStreamExt;
use iceberg::expr::Reference;
use iceberg::spec::Datum;
use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::audit::provenance;
use crate::error::Error;
use crate::table::names::{self, TableName};

/// Where a row comes from, and the time of its event, by which its file is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Witness {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// `event_timestamp`, in microseconds since 1970.
    pub(crate) event_timestamp: i64,
    /// The epoch that committed it.
    #[serde(default)]
    pub(crate) epoch: String,
}

impl Witness {
    /// The first row of a batch that has all of this.
    pub(crate) fn of(topic: &str, rows: &RecordBatch, epoch: &str) -> Option<Self> {
        let times = rows.column_by_name(schema::EVENT_TIMESTAMP)?;
        let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
        let partitions = rows.column_by_name(schema::SOURCE_PARTITION)?;
        let partitions = partitions.as_primitive_opt::<Int32Type>()?;
        let offsets = rows.column_by_name(schema::SOURCE_OFFSET)?;
        let offsets = offsets.as_primitive_opt::<Int64Type>()?;
        let is_whole = |row: &usize| {
            times.is_valid(*row) && partitions.is_valid(*row) && offsets.is_valid(*row)
        };
        let row = (0..rows.num_rows()).find(is_whole)?;
        Some(Self {
            topic: topic.to_owned(),
            partition: partitions.value(row),
            offset: offsets.value(row),
            event_timestamp: times.value(row),
            epoch: epoch.to_owned(),
        })
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn position(&self) -> TopicPartition {
        TopicPartition::new(&Arc::from(self.topic.as_str()), self.partition)
    }

    async fn is_in(&self, table: &Table) -> Result<bool, iceberg::Error> {
        let equals = |column: &str, value| Reference::new(column).equal_to(value);
        let filter =
            equals(schema::EVENT_TIMESTAMP, Datum::timestamptz_micros(self.event_timestamp))
                .and(equals(schema::SOURCE_TOPIC, Datum::string(&self.topic)))
                .and(equals(schema::SOURCE_PARTITION, Datum::int(self.partition)))
                .and(equals(schema::SOURCE_OFFSET, Datum::long(self.offset)));
        let scan = table.scan().select([schema::SOURCE_OFFSET]).with_filter(filter).build()?;
        let mut batches = scan.to_arrow().await?;
        while let Some(batch) = batches.try_next().await? {
            if batch.num_rows() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Fails if the row that the group's newest commit recorded is not in the table any more.
pub(crate) async fn check(name: &TableName, table: &Table, group: &str) -> Result<(), Error> {
    let property = names::witness_property(group);
    let Some(json) = table.metadata().properties().get(&property) else { return Ok(()) };
    let witness: Witness = serde_json::from_str(json).map_err(|cause| Error::Damaged {
        what: "the table property",
        location: property,
        problem: cause.to_string(),
    })?;
    if witness.is_in(table).await.map_err(|cause| name.failed("looking for a row in", cause))? {
        return Ok(());
    }
    let (partition, offset) = (witness.position(), witness.offset);
    if provenance::is_on_epoch(table, &witness.epoch) {
        tracing::warn!(
            table = %name,
            %partition,
            offset,
            "a row of the newest commit was deleted by another program; the commit itself is in the table's history"
        );
        return Ok(());
    }
    let (table, group) = (name.to_string(), group.to_owned());
    Err(Error::RowsGone { table, group, partition, offset })
}
