//! Writes the rows of an epoch into files.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::compute::interleave_record_batch;
use arrow::record_batch::RecordBatch;
use audit_core::stage::Writer;
use audit_core::{Change, DeadLetter, Staged};
use iceberg::spec::{DataFile, FormatVersion, serialize_data_file_to_json};
use iceberg::table::Table;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::audit::witness::Witness;
use crate::epoch::columns::{Origin, Projection};
use crate::epoch::dead_letter::{self, Payloads};
use crate::epoch::digest::Digests;
use crate::epoch::files::{FILE_BYTES_TARGET, Files};
use crate::epoch::open_files::{FileLimits, OpenFiles, Part};
use crate::epoch::partition;
use crate::epoch::system_rows;
use crate::error::Error;

/// Rows collected before they are grouped by partition: one batch has too few rows per partition for Parquet's
/// encoders to work well. About 15 MiB of events.
const CHUNK_ROWS: usize = 32_768;
/// The same bound for rows that are large.
const CHUNK_BYTES: usize = 16 << 20;

/// Rows and dead letters of one epoch, as they are in memory and before compression: bounds what a crash repeats.
const EPOCH_BYTES_MAX: usize = 512 << 20;
/// Files of one epoch. Each adds an entry of some KiB to the commit.
const EPOCH_FILES_MAX: usize = 1_000;
/// A chunk with more partitions than this makes the following chunks small: hostile values may make a partition
/// of every row, and the limits of an epoch are checked once per chunk.
const NEW_PARTITIONS_MANY: usize = 256;

/// How the writer works.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    pub payloads: Payloads,
    /// The largest payload of a dead letter that is stored; of larger ones only size and digest are.
    pub payload_bytes_max: usize,
    /// Files that are open at the same time: each takes a file handle.
    pub open_partitions_max: usize,
    /// Memory that open files may take together, in bytes.
    pub open_files_bytes_max: usize,
}

impl WriterSettings {
    fn file_limits(&self) -> FileLimits {
        FileLimits {
            n_open_max: self.open_partitions_max,
            // A file that is closed is copied once: a quarter leaves that within what the budget allows for.
            file_bytes_max: FILE_BYTES_TARGET.min(self.open_files_bytes_max / 4),
        }
    }
}

/// Writes each epoch's rows by partition, and its dead letters beside them.
pub struct EpochWriter {
    settings: WriterSettings,
    digests: Digests,
    runtime: Handle,
    rows_to: Destination,
    dead_letters_to: Destination,
    open: OpenEpoch,
}

struct Destination {
    table: Table,
    projection: Projection,
}

impl Destination {
    fn of(table: Table) -> Result<Self, Error> {
        Ok(Self { projection: Projection::onto(&table)?, table })
    }

    fn describe(&self, files: Vec<DataFile>) -> Result<Vec<String>, Error> {
        let partition_type = self.table.metadata().default_partition_type();
        let describe = |file| serialize_data_file_to_json(file, partition_type, FormatVersion::V2);
        files.into_iter().map(describe).collect::<Result<_, _>>().map_err(Error::Files)
    }
}

struct OpenEpoch {
    id: String,
    /// Rows that are not in a file yet, each batch with the topic that it came from.
    chunk: Vec<(Arc<str>, RecordBatch)>,
    chunk_rows: usize,
    chunk_bytes: usize,
    rows: OpenFiles,
    dead_letters: OpenFiles,
    witness: Option<Witness>,
    n_rows: u64,
    n_dead_letters: u64,
    n_bytes: usize,
    chunk_rows_max: usize,
}

impl OpenEpoch {
    fn begin(rows_to: &Destination, dead_letters_to: &Destination, limits: FileLimits) -> Self {
        // Ordered by time, so that files of one epoch are together in a listing.
        let id = Uuid::now_v7().to_string();
        Self {
            rows: OpenFiles::of(Files::of(&rows_to.table, &id), limits),
            dead_letters: OpenFiles::of(Files::of(&dead_letters_to.table, &id), limits),
            id,
            chunk: Vec::new(),
            chunk_rows: 0,
            chunk_bytes: 0,
            witness: None,
            n_rows: 0,
            n_dead_letters: 0,
            n_bytes: 0,
            chunk_rows_max: CHUNK_ROWS,
        }
    }
}

impl EpochWriter {
    /// Must be called on the runtime that does the I/O.
    pub(crate) fn new(
        table: Table,
        dead_letters: Table,
        settings: WriterSettings,
        digests: Digests,
    ) -> Result<Self, Error> {
        let rows_to = Destination::of(table)?;
        let dead_letters_to = Destination::of(dead_letters)?;
        let open = OpenEpoch::begin(&rows_to, &dead_letters_to, settings.file_limits());
        let runtime = Handle::current();
        Ok(Self { settings, digests, runtime, rows_to, dead_letters_to, open })
    }

    /// An estimate of the memory that open files take, in bytes. After each call it is within the budget.
    pub fn open_files_bytes(&self) -> usize {
        self.open.rows.held_bytes() + self.open.dead_letters.held_bytes()
    }

    async fn flush_chunk(&mut self) -> Result<(), Error> {
        let chunk = std::mem::take(&mut self.open.chunk);
        self.open.chunk_rows = 0;
        self.open.chunk_bytes = 0;
        let ingested_us = now_us();
        // All batches of a chunk share one topic: `write` flushes where it changes.
        let Some((topic, _)) = chunk.first() else { return Ok(()) };
        let batches: Vec<&RecordBatch> = chunk.iter().map(|(_, batch)| batch).collect();
        self.append(&batches, Origin::Topic(topic), ingested_us).await
    }

    /// Puts rows into the files of their partitions.
    async fn append(
        &mut self,
        batches: &[&RecordBatch],
        origin: Origin<'_>,
        ingested_us: i64,
    ) -> Result<(), Error> {
        if let (None, Origin::Topic(topic), [first, ..]) = (&self.open.witness, origin, batches) {
            self.open.witness = Witness::of(topic, first, &self.open.id);
        }
        let groups = partition::group(batches)?;
        if groups.len() > NEW_PARTITIONS_MANY {
            self.open.chunk_rows_max = 1;
        }
        for (partition, rows) in groups {
            let rows = interleave_record_batch(batches, &rows)?;
            let rows = self.rows_to.projection.project(&rows, origin, ingested_us)?;
            self.open.rows.append(Part::Partition(partition), rows).await?;
            self.stay_within_budget().await?;
        }
        Ok(())
    }

    /// Closes the largest files if all together take more memory than they may. A quarter of the budget is freed at
    /// a time, because files wait for the disk together.
    async fn stay_within_budget(&mut self) -> Result<(), Error> {
        let bytes_max = self.settings.open_files_bytes_max;
        if self.open_files_bytes() <= bytes_max {
            return Ok(());
        }
        let (rows, letters) = (&mut self.open.rows, &mut self.open.dead_letters);
        // Dead letters have one file.
        if letters.held_bytes() > rows.held_bytes() {
            letters.close_down_to(0).await?;
        }
        rows.close_down_to((bytes_max - bytes_max / 4).saturating_sub(letters.held_bytes())).await
    }

    async fn add_dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), Error> {
        let rows = dead_letter::to_rows(
            letters,
            &self.settings.payloads,
            &self.digests,
            self.settings.payload_bytes_max,
            &self.open.id,
            now_us(),
            &self.dead_letters_to.projection,
        )?;
        self.open.dead_letters.append(Part::Table, rows).await?;
        self.stay_within_budget().await
    }

    async fn close_epoch(&mut self) -> Result<Staged, Error> {
        self.flush_chunk().await?;
        let limits = self.settings.file_limits();
        let next = OpenEpoch::begin(&self.rows_to, &self.dead_letters_to, limits);
        let epoch = std::mem::replace(&mut self.open, next);
        let data_files = epoch.rows.close().await?;
        let dead_letter_files = epoch.dead_letters.close().await?;
        Ok(Staged {
            epoch_id: epoch.id,
            data_files: self.rows_to.describe(data_files)?,
            dead_letter_files: self.dead_letters_to.describe(dead_letter_files)?,
            n_rows: epoch.n_rows,
            n_dead_letters: epoch.n_dead_letters,
            witness: epoch.witness.map(|witness| witness.to_json()),
        })
    }
}

impl Writer for EpochWriter {
    fn write(&mut self, topic: &Arc<str>, rows: RecordBatch) -> Result<(), audit_core::Error> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let runtime = self.runtime.clone();
        if self.open.chunk.first().is_some_and(|(first, _)| first != topic) {
            runtime.block_on(self.flush_chunk())?;
        }
        let n_bytes = rows.get_array_memory_size();
        self.open.n_rows += rows.num_rows() as u64;
        self.open.n_bytes += n_bytes;
        self.open.chunk_rows += rows.num_rows();
        self.open.chunk_bytes += n_bytes;
        self.open.chunk.push((Arc::clone(topic), rows));
        if self.open.chunk_rows >= self.open.chunk_rows_max || self.open.chunk_bytes >= CHUNK_BYTES
        {
            runtime.block_on(self.flush_chunk())?;
        }
        Ok(())
    }

    fn write_dead_letters(&mut self, letters: Vec<DeadLetter>) -> Result<(), audit_core::Error> {
        if letters.is_empty() {
            return Ok(());
        }
        self.open.n_dead_letters += letters.len() as u64;
        self.open.n_bytes += letters.iter().map(|letter| letter.payload.len()).sum::<usize>();
        Ok(self.runtime.clone().block_on(self.add_dead_letters(&letters))?)
    }

    fn write_changes(&mut self, changes: &[Change]) -> Result<(), audit_core::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        // Not through the chunk, whose rows are all of one topic: these are of none, and few.
        let rows = system_rows::to_rows(changes)?;
        self.open.n_rows += rows.num_rows() as u64;
        self.open.n_bytes += rows.get_array_memory_size();
        let runtime = self.runtime.clone();
        Ok(runtime.block_on(self.append(&[&rows], Origin::Host, now_us()))?)
    }

    fn is_full(&self) -> bool {
        let n_files = self.open.rows.n_files() + self.open.dead_letters.n_files();
        self.open.n_bytes >= EPOCH_BYTES_MAX || n_files >= EPOCH_FILES_MAX
    }

    fn seal(&mut self) -> Result<Staged, audit_core::Error> {
        Ok(self.runtime.clone().block_on(self.close_epoch())?)
    }
}

/// Microseconds since 1970 by the host's clock.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
