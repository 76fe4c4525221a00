//! Tables from Parquet. Every type that can be cast to text is; null becomes the empty text.
//!
//! A small file may expand to a lot of data: by compression, or by a value that is stored once and referenced
//! by a million rows. So text is read as views, which share the value, and counted before it is copied.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, StringArray, StringViewArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchReader as _};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::columns::{Columns, Limits};
use crate::csv::Problem;
use crate::error::Place;

/// Rows per batch.
const BATCH_ROWS: u64 = 4096;

pub(crate) fn read(file: &File, limits: Limits) -> Result<Columns, Problem> {
    let batches = batches(file, limits)?;
    let names = batches.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut columns = Columns::new(names, limits).map_err(|problem| (None, problem))?;
    for batch in batches {
        add(&mut columns, &batch.map_err(|error| damaged(&error))?)?;
    }
    Ok(columns)
}

fn damaged(error: &dyn std::fmt::Display) -> Problem {
    (None, format!("it is not a valid Parquet file: {error}"))
}

/// No batch has many more bytes than the limit of a table.
fn batches(file: &File, limits: Limits) -> Result<ParquetRecordBatchReader, Problem> {
    let whole = |problem: String| (None, problem);
    let file = file.try_clone().map_err(|error| whole(format!("it cannot be read: {error}")))?;
    let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| damaged(&error))?;
    check_size(stored.metadata(), limits).map_err(whole)?;
    let schema = schema(stored.schema()).map_err(whole)?;
    let n_rows = batch_rows(stored.metadata(), limits);
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let wanted = ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options)
        .map_err(|error| damaged(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, wanted);
    builder.with_batch_size(n_rows).build().map_err(|error| damaged(&error))
}

/// Before anything is decompressed.
fn check_size(metadata: &ParquetMetaData, limits: Limits) -> Result<(), String> {
    let groups = metadata.row_groups().iter();
    let (n_rows, n_bytes) = groups.fold((0_i64, 0_i64), |(rows, bytes), group| {
        (rows.saturating_add(group.num_rows()), bytes.saturating_add(group.total_byte_size()))
    });
    if u64::try_from(n_rows).is_ok_and(|rows| rows > limits.rows) {
        return Err(format!("it has {n_rows} rows, more than {} (rows-max)", limits.rows));
    }
    if u64::try_from(n_bytes).is_ok_and(|bytes| bytes > limits.bytes) {
        let max = limits.bytes;
        return Err(format!(
            "it has {n_bytes} bytes uncompressed, more than {max} (file-bytes-max)"
        ));
    }
    Ok(())
}

/// The types to read the columns as. The error names the first column that cannot be text.
fn schema(stored: &Schema) -> Result<Schema, String> {
    let mut fields = Vec::with_capacity(stored.fields().len());
    for field in stored.fields() {
        let data_type = type_to_read(field.data_type());
        if data_type.is_nested() || !can_cast_types(&data_type, &DataType::Utf8) {
            let name = field.name();
            return Err(format!(
                "the column {name:?} is {data_type}, which cannot be converted to text"
            ));
        }
        fields.push(Field::clone(field).with_data_type(data_type));
    }
    Ok(Schema::new(fields))
}

fn type_to_read(stored: &DataType) -> DataType {
    match stored {
        DataType::Dictionary(_, value) => type_to_read(value),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// The rows of a batch, few enough that the batch stays within the limit of a table. This matters only for
/// delta-encoded byte arrays: a value is stored as its difference from the previous one and read as a whole.
/// No value is larger than its column in a row group.
fn batch_rows(metadata: &ParquetMetaData, limits: Limits) -> usize {
    let row_bytes_max = |columns: &[ColumnChunkMetaData]| -> u64 {
        let by_difference = columns.iter().filter(|column| {
            column.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
        });
        by_difference.map(|column| u64::try_from(column.uncompressed_size()).unwrap_or(0)).sum()
    };
    let groups = metadata.row_groups().iter();
    let row_bytes = groups.map(|group| row_bytes_max(group.columns())).max().unwrap_or(0);
    (limits.bytes / row_bytes.max(1)).clamp(1, BATCH_ROWS) as usize
}

/// The values of a column in a batch.
enum Values {
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Cast(StringArray),
}

impl Values {
    /// The error is the first row whose value cannot be converted to text.
    fn new(column: &ArrayRef) -> Result<Self, usize> {
        match column.data_type() {
            DataType::Utf8View => Ok(Self::Text(column.as_string_view().clone())),
            DataType::BinaryView => Ok(Self::Bytes(column.as_binary_view().clone())),
            _ => cast(column).map(Self::Cast).map_err(|_| {
                // The error has no row, so each row is tried alone.
                let is_wrong = |row: &usize| cast(&column.slice(*row, 1)).is_err();
                (0..column.len()).find(is_wrong).unwrap_or(0)
            }),
        }
    }

    /// `None` if it is not UTF-8.
    fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(values) if values.is_valid(row) => Some(values.value(row)),
            Self::Bytes(values) if values.is_valid(row) => {
                std::str::from_utf8(values.value(row)).ok()
            }
            Self::Cast(values) if values.is_valid(row) => Some(values.value(row)),
            _ => Some(""),
        }
    }
}

/// A value that cannot be cast is an error: a null would become an empty text, and an empty timestamp means
/// an open end.
fn cast(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let column = match column.data_type() {
        // A timestamp without a zone is in UTC.
        DataType::Timestamp(..) => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
            &cast_with_options(column, &utc, &strict)?
        }
        _ => column,
    };
    Ok(cast_with_options(column, &DataType::Utf8, &strict)?.as_string::<i32>().clone())
}

fn add(columns: &mut Columns, batch: &RecordBatch) -> Result<(), Problem> {
    let n_rows_before = columns.n_rows();
    let place = |row: usize| Place::Row(u32::try_from(n_rows_before + row + 1).unwrap_or(u32::MAX));
    let no_text = |row: usize, name: &str| {
        (Some(place(row)), format!("the value of column {name:?} cannot be converted to text"))
    };
    let mut columns_of_batch = Vec::with_capacity(batch.num_columns());
    for (name, column) in columns.names.iter().zip(batch.columns()) {
        columns_of_batch.push(Values::new(column).map_err(|row| no_text(row, name))?);
    }
    let mut texts = Vec::with_capacity(columns_of_batch.len());
    for row in 0..batch.num_rows() {
        texts.clear();
        for (name, column) in columns.names.iter().zip(&columns_of_batch) {
            texts.push(column.get(row).ok_or_else(|| no_text(row, name))?);
        }
        let n_bytes = texts.iter().map(|text| text.len()).sum();
        columns.begin_row(place(row), n_bytes).map_err(|problem| (Some(place(row)), problem))?;
        for (idx, text) in texts.iter().enumerate() {
            columns.push(idx, text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array};
    use arrow::datatypes::Int32Type;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A value of 16 KiB, once in the file and in 4096 rows of it.
    #[test]
    fn a_batch_has_no_more_bytes_than_a_table_may_have() {
        let limits = Limits { rows: 4096, bytes: 1 << 20 };
        let value = Arc::new(StringArray::from(vec!["x".repeat(16 << 10)]));
        let codes = Int32Array::from(vec![0; 4096]);
        let values: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::try_new(codes, value).unwrap());
        let once = WriterProperties::builder().build();
        let by_difference = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::DELTA_BYTE_ARRAY)
            .build();
        for properties in [once, by_difference] {
            let mut file = tempfile::tempfile().unwrap();
            let batch = RecordBatch::try_from_iter([("v", Arc::clone(&values))]).unwrap();
            // Otherwise the file says that it is a dictionary, and is read as one.
            let options = ArrowWriterOptions::new()
                .with_properties(properties)
                .with_skip_arrow_metadata(true);
            let writer = ArrowWriter::try_new_with_options(&mut file, batch.schema(), options);
            let mut writer = writer.unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let mut n_rows = 0;
            for batch in batches(&file, limits).unwrap() {
                let batch = batch.unwrap();
                // Memory is taken in steps that double.
                assert!(batch.get_array_memory_size() as u64 <= 2 * limits.bytes);
                n_rows += batch.num_rows();
            }
            assert_eq!(n_rows, 4096);
        }
    }
}
