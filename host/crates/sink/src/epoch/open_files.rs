//! The files of an epoch that are still open, and the memory that they take.
//!
//! A file is one row group (`files.rs` says why), and Parquet writes a row group when it ends. So an open file
//! holds all that was encoded for it; and its columns have buffers and codecs that take megabytes before the
//! first row. How much that is follows from the values, not from a number of files. Hence two rules:
//!
//! - Rows of a partition wait as Arrow batches until they take as much as an encoder would. Then they get one, and
//!   take a tenth from there on. A partition with few rows never has an encoder for longer than its file is written.
//! - A budget in bytes over everything that waits and is open. When it is passed, the largest files are closed: this
//!   frees the most memory for each file that the table gets.

use std::cmp::Reverse;
use std::collections::HashMap;

use arrow::record_batch::RecordBatch;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use iceberg::spec::{DataFile, Struct};

use crate::epoch::files::{FileWriter, Files};
use crate::epoch::partition::Partition;
use crate::error::Error;

/// Files that are closed at the same time. Each waits for the disk, so several together are faster than one after
/// another; and each has an encoder and a copy of its bytes on their way, so all at once would take more than the
/// budget.
const CLOSING_MAX: usize = 8;

/// When a file is closed, whatever the others take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileLimits {
    /// Files with an encoder, each of which takes a file handle.
    pub(crate) n_open_max: usize,
    /// Memory of one file.
    pub(crate) file_bytes_max: usize,
}

/// What a file has the rows of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Of a table without partitions.
    Table,
    Partition(Partition),
}

impl Part {
    fn to_struct(&self) -> Option<Struct> {
        match self {
            Self::Table => None,
            Self::Partition(partition) => Some(partition.to_struct()),
        }
    }
}

/// The files of one table in one epoch.
pub(crate) struct OpenFiles {
    files: Files,
    limits: FileLimits,
    by_part: HashMap<Part, OpenFile>,
    // Invariant: the sum over `by_part`.
    held_bytes: usize,
    // Invariant: how many of `by_part` have an encoder.
    n_encoders: usize,
    closed: Vec<DataFile>,
}

/// Rows of one part: those that wait, and those that were encoded.
#[derive(Default)]
struct OpenFile {
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    encoder: Option<FileWriter>,
    /// 0 without an encoder.
    encoder_bytes: usize,
}

impl OpenFiles {
    pub(crate) fn of(files: Files, limits: FileLimits) -> Self {
        let by_part = HashMap::new();
        Self { files, limits, by_part, held_bytes: 0, n_encoders: 0, closed: Vec::new() }
    }

    /// Adds rows to the file of their part.
    pub(crate) async fn append(&mut self, part: Part, rows: RecordBatch) -> Result<(), Error> {
        let mut file = self.take(&part).unwrap_or_default();
        file.waiting_bytes += rows.get_array_memory_size();
        file.waiting.push(rows);
        if file.encoder.is_some() || file.waiting_bytes >= self.files.encoder_bytes() {
            if file.encoder.is_none() {
                self.make_room_for_one().await?;
            }
            file.encode(&self.files, &part).await?;
        }
        if file.held_bytes() > self.limits.file_bytes_max {
            return self.close_these(vec![(part, file)]).await;
        }
        self.held_bytes += file.held_bytes();
        self.n_encoders += usize::from(file.encoder.is_some());
        self.by_part.insert(part, file);
        Ok(())
    }

    /// An estimate of the memory that all of them take, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Files so far, open and closed.
    pub(crate) fn n_files(&self) -> usize {
        self.closed.len() + self.by_part.len()
    }

    /// Closes the largest files until those left hold no more than so many bytes.
    pub(crate) async fn close_down_to(&mut self, bytes: usize) -> Result<(), Error> {
        let mut full = Vec::new();
        for part in self.largest_first(|_| true) {
            if self.held_bytes <= bytes {
                break;
            }
            full.extend(self.take(&part).map(|file| (part, file)));
        }
        self.close_these(full).await
    }

    /// Closes what is open, and returns every file of the epoch.
    pub(crate) async fn close(mut self) -> Result<Vec<DataFile>, Error> {
        self.close_down_to(0).await?;
        Ok(self.closed)
    }

    /// If as many encoders are open as may be, closes a quarter of them: they wait for the disk together.
    async fn make_room_for_one(&mut self) -> Result<(), Error> {
        let n_max = self.limits.n_open_max;
        if self.n_encoders < n_max {
            return Ok(());
        }
        let with_encoder = self.largest_first(|file| file.encoder.is_some());
        let few = with_encoder.into_iter().take(n_max.div_ceil(4));
        let full = few.filter_map(|at| self.take(&at).map(|file| (at, file))).collect();
        self.close_these(full).await
    }

    fn largest_first(&self, is_wanted: impl Fn(&OpenFile) -> bool) -> Vec<Part> {
        let mut wanted: Vec<_> = self.by_part.iter().filter(|(_, file)| is_wanted(file)).collect();
        wanted.sort_unstable_by_key(|(_, file)| Reverse(file.held_bytes()));
        wanted.into_iter().map(|(part, _)| part.clone()).collect()
    }

    fn take(&mut self, part: &Part) -> Option<OpenFile> {
        let file = self.by_part.remove(part)?;
        self.held_bytes -= file.held_bytes();
        self.n_encoders -= usize::from(file.encoder.is_some());
        Some(file)
    }

    async fn close_these(&mut self, full: Vec<(Part, OpenFile)>) -> Result<(), Error> {
        let files = &self.files;
        let closing = stream::iter(full)
            .map(|(part, file)| async move { file.close(files, &part).await })
            .buffer_unordered(CLOSING_MAX);
        let closed: Vec<Vec<DataFile>> = closing.try_collect().await?;
        self.closed.extend(closed.into_iter().flatten());
        Ok(())
    }
}

impl OpenFile {
    fn held_bytes(&self) -> usize {
        self.waiting_bytes + self.encoder_bytes
    }

    /// Encodes the rows that wait.
    async fn encode(&mut self, files: &Files, part: &Part) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        for rows in waiting {
            let encoder = match &mut self.encoder {
                Some(encoder) => encoder,
                none => none.insert(files.open(part.to_struct()).await?),
            };
            self.encoder_bytes = files.encoder_bytes() + encoder.append(rows).await?;
        }
        Ok(())
    }

    async fn close(mut self, files: &Files, part: &Part) -> Result<Vec<DataFile>, Error> {
        self.encode(files, part).await?;
        match self.encoder {
            Some(encoder) => encoder.close().await,
            None => Ok(Vec::new()),
        }
    }
}
