//! Parquet files of one table.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use audit_core::schema;
use iceberg::spec::{DataFile, DataFileFormat, PartitionKey, Struct};
use iceberg::table::Table;
use iceberg::writer::base_writer::data_file_writer::{DataFileWriter, DataFileWriterBuilder};
use iceberg::writer::file_writer::ParquetWriterBuilder;
use iceberg::writer::file_writer::location_generator::DefaultFileNameGenerator;
use iceberg::writer::file_writer::rolling_writer::RollingFileWriterBuilder;
use iceberg::writer::{CurrentFileStatus, IcebergWriter, IcebergWriterBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::epoch::location::SafeLocations;
use crate::error::Error;

/// Bytes after which a file is closed and the next one begun.
pub(crate) const FILE_BYTES_TARGET: usize = 128 << 20;

/// Bytes of a column's dictionary. Columns that need more are smaller without one.
const DICTIONARY_BYTES_MAX: usize = 64 << 10;

/// Where a page of a column ends. Every column of every open file has a page that is being filled, and a zstd
/// context as large as the largest page that it compressed (up to 0.6 MiB): by the defaults of 20,000 rows and
/// 1 MiB these took 10 MiB a file. Files are half a percent larger this way.
const PAGE_ROWS_MAX: usize = 4_096;
const PAGE_BYTES_MAX: usize = 64 << 10;
/// Values between two looks at the size of a page: it can exceed its limit by so many.
const PAGE_CHECK_EVERY: usize = 256;

/// What a column of an open file takes beside the bytes that it encoded: dictionary, page, zstd contexts. Measured by
/// a heap profile of 28 open files; a column that is hardly used takes less.
const COLUMN_BYTES: usize = 320 << 10;

/// Columns that queries prune by. Statistics on all columns would cost a quarter of the encoding.
const PRUNED_BY: [&str; 12] = [
    schema::EVENT_TIMESTAMP,
    schema::INGESTION_TIMESTAMP,
    "user_id",
    "user_email",
    schema::ACTION_TYPE,
    "action_result",
    "ip_address",
    "session_id",
    "resource_id",
    schema::SOURCE_TOPIC,
    schema::SOURCE_PARTITION,
    schema::SOURCE_OFFSET,
];

/// Opens files of one table for one epoch.
pub(crate) struct Files {
    builder: DataFileWriterBuilder<ParquetWriterBuilder, SafeLocations, DefaultFileNameGenerator>,
    spec: Arc<iceberg::spec::PartitionSpec>,
    schema: iceberg::spec::SchemaRef,
}

/// Columns in which every value is different: a dictionary would only be built and thrown away. Only the time is
/// written as deltas. zstd makes the others nearly as small, and an encoder of deltas begins with a buffer of 1 MiB.
const DISTINCT: [&str; 3] = [schema::AUDIT_ID, schema::EVENT_TIMESTAMP, schema::SOURCE_OFFSET];

/// Columns that the host fills, with few values in long runs. Their dictionaries leave nothing to compress, so
/// they need no zstd contexts.
const UNCOMPRESSED: [&str; 4] = [
    schema::INGESTION_TIMESTAMP,
    schema::ACTION_TYPE,
    schema::SOURCE_TOPIC,
    schema::SOURCE_PARTITION,
];

impl Files {
    /// `prefix` must be unique: a name used twice would overwrite a committed file.
    pub(crate) fn of(table: &Table, prefix: &str) -> Self {
        let metadata = table.metadata();
        let schema = Arc::clone(metadata.current_schema());
        let parquet = ParquetWriterBuilder::new(parquet_properties(), Arc::clone(&schema));
        let rolling = RollingFileWriterBuilder::new(
            parquet,
            FILE_BYTES_TARGET,
            table.file_io().clone(),
            SafeLocations::below(metadata.location()),
            DefaultFileNameGenerator::new(prefix.to_owned(), None, DataFileFormat::Parquet),
        );
        let spec = Arc::clone(metadata.default_partition_spec());
        Self { builder: DataFileWriterBuilder::new(rolling), spec, schema }
    }

    /// Opens a file for a partition; `None` for a table without partitions.
    pub(crate) async fn open(&self, partition: Option<Struct>) -> Result<FileWriter, Error> {
        let key = partition.map(|values| {
            PartitionKey::new(self.spec.as_ref().clone(), Arc::clone(&self.schema), values)
        });
        Ok(FileWriter(self.builder.build(key).await.map_err(Error::Files)?))
    }

    /// About what an open file takes beside the bytes that it encoded.
    pub(crate) fn encoder_bytes(&self) -> usize {
        self.schema.as_struct().fields().len() * COLUMN_BYTES
    }
}

/// Writes one file; another one is begun where it grows too large.
pub(crate) struct FileWriter(
    DataFileWriter<ParquetWriterBuilder, SafeLocations, DefaultFileNameGenerator>,
);

impl FileWriter {
    /// Adds rows, and returns the bytes that are encoded and not on the disk yet.
    pub(crate) async fn append(&mut self, rows: RecordBatch) -> Result<usize, Error> {
        self.0.write(rows).await.map_err(Error::Files)?;
        // iceberg panics here before the first row. It counts pages and dictionaries, not what encoders hold.
        Ok(self.0.current_written_size())
    }

    pub(crate) async fn close(mut self) -> Result<Vec<DataFile>, Error> {
        self.0.close().await.map_err(Error::Files)
    }
}

fn parquet_properties() -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        // Level 3 costs a third of the speed and saves nothing on these columns.
        .set_compression(Compression::ZSTD(level))
        // One row group per file. With several, iceberg 0.10.1 derives wrong file bounds from truncated
        // statistics, and every engine then skips files that hold matching rows.
        .set_max_row_group_row_count(Some(usize::MAX))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_write_batch_size(PAGE_CHECK_EVERY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_encoding(column(schema::EVENT_TIMESTAMP), Encoding::DELTA_BINARY_PACKED);
    for name in DISTINCT {
        properties = properties.set_column_dictionary_enabled(column(name), false);
    }
    for name in UNCOMPRESSED {
        properties = properties.set_column_compression(column(name), Compression::UNCOMPRESSED);
    }
    for name in PRUNED_BY {
        properties =
            properties.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
    }
    properties.build()
}
