//! Writes the rows of an epoch into files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::compute::interleave_record_batch;
use arrow::record_batch::RecordBatch;
use audit_core::stage::Writer;
use audit_core::{Change, DeadLetter, Staged};
use futures::future::try_join_all;
use iceberg::spec::{DataFile, FormatVersion, serialize_data_file_to_json};
use iceberg::table::Table;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::epoch::columns::{Origin, Projection};
use crate::epoch::dead_letter::{self, Payloads};
use crate::epoch::files::{self, Files, OpenFile};
use crate::epoch::partition::{self, Partition};
use crate::epoch::system_rows;
use crate::error::Error;

/// Rows collected before they are grouped by partition: one batch has too few rows per partition for Parquet's
/// encoders to work well. About 15 MiB of events.
const CHUNK_ROWS: usize = 32_768;
/// The same bound for rows that are large.
const CHUNK_BYTES: usize = 32 << 20;

/// Rows and dead letters of one epoch, in memory and before compression. Open files hold what they encoded until
/// they are closed: where nothing compresses, this bounds their memory.
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
    /// Partitions whose files are open at the same time. An open file takes some hundred KiB.
    pub open_partitions_max: usize,
}

/// Writes each epoch's rows by partition, and its dead letters beside them.
pub struct EpochWriter {
    settings: WriterSettings,
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
    files: Files,
    dead_letter_files: Files,
    /// Rows that are not in a file yet, each batch with the topic that it came from.
    chunk: Vec<(Arc<str>, RecordBatch)>,
    chunk_rows: usize,
    chunk_bytes: usize,
    by_partition: HashMap<Partition, OpenFile>,
    dead_letters: Option<OpenFile>,
    /// Descriptors of closed files.
    finished: Vec<String>,
    n_rows: u64,
    n_dead_letters: u64,
    n_bytes: usize,
    chunk_rows_max: usize,
}

impl OpenEpoch {
    fn begin(rows_to: &Destination, dead_letters_to: &Destination) -> Self {
        // Ordered by time, so that files of one epoch are together in a listing.
        let id = Uuid::now_v7().to_string();
        Self {
            files: Files::of(&rows_to.table, &id),
            dead_letter_files: Files::of(&dead_letters_to.table, &id),
            id,
            chunk: Vec::new(),
            chunk_rows: 0,
            chunk_bytes: 0,
            by_partition: HashMap::new(),
            dead_letters: None,
            finished: Vec::new(),
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
    ) -> Result<Self, Error> {
        let rows_to = Destination::of(table)?;
        let dead_letters_to = Destination::of(dead_letters)?;
        let open = OpenEpoch::begin(&rows_to, &dead_letters_to);
        Ok(Self { settings, runtime: Handle::current(), rows_to, dead_letters_to, open })
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
        let groups = partition::group(batches)?;
        if groups.len() > NEW_PARTITIONS_MANY {
            self.open.chunk_rows_max = 1;
        }
        for (partition, rows) in groups {
            let rows = interleave_record_batch(batches, &rows)?;
            let rows = self.rows_to.projection.project(&rows, origin, ingested_us)?;
            files::append(self.file_of(partition).await?, rows).await?;
        }
        Ok(())
    }

    /// The open file of a partition. If too many are open, all are closed first: each partition then has one file
    /// more, but memory stays bounded for any values.
    async fn file_of(&mut self, partition: Partition) -> Result<&mut OpenFile, Error> {
        let open = &mut self.open;
        let is_full = open.by_partition.len() >= self.settings.open_partitions_max;
        if is_full && !open.by_partition.contains_key(&partition) {
            let full = std::mem::take(&mut open.by_partition);
            let closed = close_all(full.into_values()).await?;
            open.finished.extend(self.rows_to.describe(closed)?);
        }
        match open.by_partition.entry(partition) {
            std::collections::hash_map::Entry::Occupied(slot) => Ok(slot.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let file = open.files.open(Some(slot.key().to_struct())).await?;
                Ok(slot.insert(file))
            }
        }
    }

    async fn add_dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), Error> {
        let rows = dead_letter::to_rows(
            letters,
            &self.settings.payloads,
            self.settings.payload_bytes_max,
            &self.open.id,
            now_us(),
            &self.dead_letters_to.projection,
        )?;
        let file = match self.open.dead_letters.take() {
            Some(file) => file,
            None => self.open.dead_letter_files.open(None).await?,
        };
        files::append(self.open.dead_letters.insert(file), rows).await
    }

    async fn close_epoch(&mut self) -> Result<Staged, Error> {
        self.flush_chunk().await?;
        let next = OpenEpoch::begin(&self.rows_to, &self.dead_letters_to);
        let epoch = std::mem::replace(&mut self.open, next);
        let mut data_files = epoch.finished;
        let closed = close_all(epoch.by_partition.into_values()).await?;
        data_files.extend(self.rows_to.describe(closed)?);
        let dead_letter_files = close_all(epoch.dead_letters).await?;
        Ok(Staged {
            epoch_id: epoch.id,
            data_files,
            dead_letter_files: self.dead_letters_to.describe(dead_letter_files)?,
            n_rows: epoch.n_rows,
            n_dead_letters: epoch.n_dead_letters,
        })
    }
}

/// Closes files concurrently: each waits for the disk.
async fn close_all(open: impl IntoIterator<Item = OpenFile>) -> Result<Vec<DataFile>, Error> {
    let closed = try_join_all(open.into_iter().map(files::close)).await?;
    Ok(closed.into_iter().flatten().collect())
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
        let n_files = self.open.finished.len() + self.open.by_partition.len();
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
