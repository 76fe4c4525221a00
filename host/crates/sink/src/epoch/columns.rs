//! The rows of the chain, arranged by the schema of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use audit_core::schema;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::table::Table;

use crate::error::Error;

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    Topic(&'a str),
    /// The host itself, and no record.
    Host,
}

/// Arranges rows by the columns of a table.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    /// The table's columns with their Iceberg field ids.
    schema: SchemaRef,
}

impl Projection {
    pub(crate) fn onto(table: &Table) -> Result<Self, Error> {
        let schema =
            schema_to_arrow_schema(table.metadata().current_schema()).map_err(Error::Files)?;
        Ok(Self { schema: Arc::new(schema) })
    }

    /// The rows with the table's columns. A column that the rows do not have is null.
    pub(crate) fn project(
        &self,
        rows: &RecordBatch,
        origin: Origin<'_>,
        ingested_us: i64,
    ) -> Result<RecordBatch, Error> {
        let n_rows = rows.num_rows();
        let columns = self.schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                schema::INGESTION_TIMESTAMP => {
                    let column = TimestampMicrosecondArray::from_value(ingested_us, n_rows);
                    Arc::new(column.with_timezone(schema::UTC))
                }
                schema::SOURCE_TOPIC => {
                    let topic = match origin {
                        Origin::Topic(topic) => Some(topic),
                        Origin::Host => None,
                    };
                    Arc::new(std::iter::repeat_n(topic, n_rows).collect::<StringArray>())
                }
                name => rows
                    .column_by_name(name)
                    .map_or_else(|| new_null_array(field.data_type(), n_rows), Arc::clone),
            }
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?)
    }

    /// Columns that are the table's already, as a batch with the table's schema.
    pub(crate) fn retype(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}
