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
use iceberg::writer::{IcebergWriter, IcebergWriterBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::epoch::location::SafeLocations;
use crate::error::Error;

/// Bytes after which a file is closed and the next one begun.
const FILE_BYTES_TARGET: usize = 128 << 20;

/// Bytes of a column's dictionary. An epoch has a file open for each of its partitions, and every text column of
/// each has a dictionary and its hash table: at the default of 1 MiB these take most of the program's memory,
/// and columns that need as much are smaller without one.
const DICTIONARY_BYTES_MAX: usize = 128 << 10;

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

/// An open file; another one is begun where it grows too large.
pub(crate) type OpenFile =
    DataFileWriter<ParquetWriterBuilder, SafeLocations, DefaultFileNameGenerator>;

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
    pub(crate) async fn open(&self, partition: Option<Struct>) -> Result<OpenFile, Error> {
        let key = partition.map(|values| {
            PartitionKey::new(self.spec.as_ref().clone(), Arc::clone(&self.schema), values)
        });
        self.builder.build(key).await.map_err(Error::Files)
    }
}

pub(crate) async fn append(file: &mut OpenFile, rows: RecordBatch) -> Result<(), Error> {
    file.write(rows).await.map_err(Error::Files)
}

pub(crate) async fn close(mut file: OpenFile) -> Result<Vec<DataFile>, Error> {
    file.close().await.map_err(Error::Files)
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
        .set_statistics_enabled(EnabledStatistics::None)
        // Every value is different: a dictionary would only be built and thrown away.
        .set_column_dictionary_enabled(column(schema::AUDIT_ID), false)
        .set_column_encoding(column(schema::AUDIT_ID), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    for name in [schema::EVENT_TIMESTAMP, schema::SOURCE_OFFSET] {
        properties = properties
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in PRUNED_BY {
        properties =
            properties.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
    }
    properties.build()
}
