//! Tables out of Parquet. Every type that has a text becomes it; null is empty.

use std::fs::File;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{Columns, Limits};
use crate::csv::Problem;
use crate::error::Place;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 4096;

pub(crate) fn read(file: &File, limits: Limits) -> Result<Columns, Problem> {
    let whole = |problem: String| (None, problem);
    let file = file.try_clone().map_err(|error| whole(format!("it cannot be read: {error}")))?;
    let damaged = |error: &dyn std::fmt::Display| whole(format!("it is no sound Parquet: {error}"));
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let groups = builder.metadata().row_groups().iter();
    let (n_rows, n_bytes) = groups.fold((0_i64, 0_i64), |(rows, bytes), group| {
        (rows.saturating_add(group.num_rows()), bytes.saturating_add(group.total_byte_size()))
    });
    // Before anything is decompressed: little may become much.
    if u64::try_from(n_rows).is_ok_and(|rows| rows > limits.rows) {
        return Err(whole(format!("it has {n_rows} rows, more than {} (rows-max)", limits.rows)));
    }
    if u64::try_from(n_bytes).is_ok_and(|bytes| bytes > limits.bytes) {
        let max = limits.bytes;
        return Err(whole(format!(
            "it has {n_bytes} bytes without its compression, more than {max} (file-bytes-max)"
        )));
    }
    let names = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut columns = Columns::new(names, limits).map_err(whole)?;
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(&error))?;
    for batch in batches {
        add(&mut columns, &batch.map_err(|error| damaged(&error))?)?;
    }
    Ok(columns)
}

fn add(columns: &mut Columns, batch: &RecordBatch) -> Result<(), Problem> {
    let mut texts = Vec::with_capacity(batch.num_columns());
    for (name, column) in columns.names.iter().zip(batch.columns()) {
        let text = as_text(column);
        let data_type = column.data_type();
        texts.push(text.ok_or_else(|| {
            (None, format!("the column {name:?} is {data_type}, which has no text"))
        })?);
    }
    for row in 0..batch.num_rows() {
        let values = texts.iter().map(|column| {
            let column = column.as_string::<i32>();
            if column.is_null(row) { "" } else { column.value(row) }
        });
        let place = Place::Row(u32::try_from(columns.n_rows() + 1).unwrap_or(u32::MAX));
        let n_bytes = values.clone().map(str::len).sum();
        columns.begin_row(place, n_bytes).map_err(|problem| (Some(place), problem))?;
        for (idx, value) in values.enumerate() {
            columns.push(idx, value);
        }
    }
    Ok(())
}

fn as_text(column: &ArrayRef) -> Option<ArrayRef> {
    let column = match column.data_type() {
        // A time without a zone is taken for UTC.
        DataType::Timestamp(..) => {
            &cast(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))
                .ok()?
        }
        data_type if data_type.is_nested() || !can_cast_types(data_type, &DataType::Utf8) => {
            return None;
        }
        _ => column,
    };
    cast(column, &DataType::Utf8).ok()
}
