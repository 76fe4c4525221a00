//! The replay log: what a detector's state can be rebuilt from, by the same or by another instance. It
//! holds the last snapshot and every part of a batch judged since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::UInt32Array;
use arrow::compute::take;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use audit_core::{Alert, Finding, TopicPartition};
use audit_lookup::Set;

/// Rows in the log, at which a snapshot is due: bounds what a failure repeats (some milliseconds) and the
/// columns that are kept for it (some ten MiB).
const ROWS_MAX: usize = 131_072;
/// The same bound for rows that are large.
const BYTES_MAX: usize = 16 << 20;
/// The same bound for small batches: each may use its whole time limit again.
const PARTS_MAX: usize = 256;
/// A large state takes long to write: then the log may grow to so many times these bounds, ...
const STRETCH_MAX: usize = 4;
/// ... until snapshots take only one part in so many of the detector's time.
const SHARE_OF_TIME: u32 = 8;
/// How long a log stays whole for an instance that catches up: no snapshot shortens it meanwhile.
pub(crate) const CATCH_UP_LEASE: Duration = Duration::from_secs(1);

/// What feeds one instance: a partition, or everything.
pub(crate) type Lane = Option<TopicPartition>;

/// What a batch is judged with besides its rows. Logged with them, so that a replay gives the same.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) topic: Arc<str>,
    pub(crate) clock: i64,
    /// Tables and calendars as they were when the batch came.
    pub(crate) lookups: Arc<Set>,
}

/// Rows of one topic with the columns that the plugin reads.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) context: BatchContext,
    pub(crate) columns: RecordBatch,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let columns = self.columns.slice(start, rows);
        Self { context: self.context.clone(), columns }
    }

    /// Some of its rows, copied.
    pub(crate) fn take(&self, rows: &[u32]) -> Result<Self, ArrowError> {
        let indices = UInt32Array::from(rows.to_vec());
        let columns = self.columns.columns().iter().map(|column| take(column, &indices, None));
        // A plugin may read nothing: then their number is all that there is of them.
        let n_rows = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let columns = RecordBatch::try_new_with_options(self.columns.schema(), columns, &n_rows)?;
        Ok(Self { context: self.context.clone(), columns })
    }
}

/// A part that was judged, and its findings.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) part: Part,
    pub(crate) findings: Arc<[Finding]>,
}

/// What a state can be rebuilt from.
#[derive(Default, Clone)]
pub(crate) struct ReplayLog {
    /// Identifies the sequence of parts since an instance began: logs with one id that have judged equally
    /// many parts are in the same state.
    log_id: Arc<()>,
    /// Version and bytes; `None` for a detector that has judged nothing before `entries`.
    snapshot: Option<(u32, Arc<[u8]>)>,
    /// Parts of this sequence before `entries`.
    n_before: u64,
    entries: Vec<Entry>,
    rows: usize,
    bytes: usize,
    /// The time that judging `entries` took.
    judging_took: Duration,
    /// The time that the last snapshot took.
    snapshot_took: Duration,
    /// Until when nothing is dropped, as another instance catches up.
    leased_until: Option<Instant>,
    /// Where the batch that is judged began.
    checkpoint: Option<Checkpoint>,
}

/// The log as it was before a batch.
#[derive(Clone)]
struct Checkpoint {
    n_entries: usize,
    rows: usize,
    bytes: usize,
    judging_took: Duration,
    /// The log itself, once a snapshot has replaced its entries.
    whole: Option<Box<ReplayLog>>,
}

impl ReplayLog {
    /// A log that starts from the state of an earlier run.
    pub(crate) fn starting_from(version: u32, bytes: Arc<[u8]>) -> Self {
        Self { snapshot: Some((version, bytes)), ..Self::default() }
    }

    /// The log of an instance that has just restored the last snapshot of `other`.
    pub(crate) fn at_snapshot_of(other: &Self) -> Self {
        Self {
            log_id: Arc::clone(&other.log_id),
            snapshot: other.snapshot.clone(),
            n_before: other.n_before,
            snapshot_took: other.snapshot_took,
            ..Self::default()
        }
    }

    pub(crate) fn snapshot(&self) -> Option<(u32, &Arc<[u8]>)> {
        self.snapshot.as_ref().map(|(version, bytes)| (*version, bytes))
    }

    /// The parts since the snapshot.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the instance has no state yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.snapshot.is_none() && self.n_judged() == 0
    }

    pub(crate) fn push(&mut self, part: &Part, alerts: &[Alert], took: Duration) {
        self.rows += part.rows();
        // For a part of a batch this counts the whole batch. The snapshot is then taken too early, which does
        // no harm.
        self.bytes += part.columns.get_array_memory_size();
        self.judging_took += took;
        let findings: Arc<[Finding]> = alerts.iter().map(Alert::finding).collect();
        self.bytes += findings.iter().map(Finding::size).sum::<usize>();
        self.entries.push(Entry { part: part.clone(), findings });
    }

    /// Whether a snapshot is due: for the size of the log, or as replaying it would take longer than `time`.
    pub(crate) fn is_full(&self, time: Duration) -> bool {
        let is_over = |factor: usize| {
            self.rows >= ROWS_MAX * factor
                || self.bytes >= BYTES_MAX * factor
                || self.entries.len() >= PARTS_MAX * factor
        };
        let is_worth_it = self.judging_took >= self.snapshot_took * SHARE_OF_TIME;
        let is_leased = self.leased_until.is_some_and(|until| Instant::now() < until);
        let is_long = self.judging_took >= time;
        is_over(STRETCH_MAX) || ((is_over(1) || is_long) && is_worth_it && !is_leased)
    }

    /// The time that judging the entries took.
    pub(crate) fn judging_took(&self) -> Duration {
        self.judging_took
    }

    /// Marks where a batch begins.
    pub(crate) fn begin(&mut self) {
        self.checkpoint = Some(Checkpoint {
            n_entries: self.entries.len(),
            rows: self.rows,
            bytes: self.bytes,
            judging_took: self.judging_took,
            whole: None,
        });
    }

    /// Ends the batch: it can no longer be rolled back.
    pub(crate) fn end(&mut self) {
        self.checkpoint = None;
    }

    /// Forgets what was judged since the batch began. Whether that was anything: then the instance is not in the
    /// state of the log any more. Without a beginning there was nothing before the batch.
    pub(crate) fn roll_back(&mut self) -> bool {
        let Some(Checkpoint { n_entries, rows, bytes, judging_took, whole }) =
            self.checkpoint.take()
        else {
            *self = Self::default();
            return true;
        };
        if let Some(whole) = whole {
            *self = Self { leased_until: self.leased_until, ..*whole };
            return true;
        }
        let is_changed = self.entries.len() > n_entries;
        self.entries.truncate(n_entries);
        (self.rows, self.bytes, self.judging_took) = (rows, bytes, judging_took);
        is_changed
    }

    /// Keeps what a snapshot within a batch would drop.
    fn keep_checkpoint(&mut self) {
        let Some(mut checkpoint) = self.checkpoint.take() else { return };
        if checkpoint.whole.is_none() {
            let entries = self.entries.iter().take(checkpoint.n_entries).cloned().collect();
            checkpoint.whole = Some(Box::new(Self {
                entries,
                rows: checkpoint.rows,
                bytes: checkpoint.bytes,
                judging_took: checkpoint.judging_took,
                snapshot: self.snapshot.clone(),
                log_id: Arc::clone(&self.log_id),
                checkpoint: None,
                ..*self
            }));
        }
        self.checkpoint = Some(checkpoint);
    }

    /// Replaces the entries by a snapshot.
    pub(crate) fn truncate(&mut self, version: u32, bytes: Arc<[u8]>, took: Duration) {
        self.keep_checkpoint();
        self.n_before = self.n_judged();
        self.snapshot = Some((version, bytes));
        self.snapshot_took = took;
        self.entries.clear();
        (self.rows, self.bytes, self.judging_took) = (0, 0, Duration::ZERO);
    }

    /// Keeps the log whole for the lease, so that another instance can catch up.
    pub(crate) fn lease(&mut self, time: Duration) {
        self.leased_until = Some(Instant::now() + time);
    }

    /// Extends the lease to that of another log: an instance that catches up takes no snapshot either.
    pub(crate) fn extend_lease_to(&mut self, other: &Self) {
        self.leased_until = self.leased_until.max(other.leased_until);
    }

    /// Whether a plugin that reads these columns can replay the entries: they hold the columns as the plugin
    /// that judged them read them.
    pub(crate) fn has_columns(&self, reads: &[String]) -> bool {
        self.entries.iter().all(|entry| {
            let schema = entry.part.columns.schema_ref();
            schema.fields().iter().map(|field| field.name()).eq(reads)
        })
    }

    /// The entries of `other` that an instance with this log must replay to reach its state. `None` if it
    /// cannot reach it from its own.
    pub(crate) fn missing_entries<'a>(&self, other: &'a Self) -> Option<&'a [Entry]> {
        if !Arc::ptr_eq(&self.log_id, &other.log_id) {
            return None;
        }
        let n_known = self.n_judged().checked_sub(other.n_before)?;
        other.entries.get(usize::try_from(n_known).ok()?..)
    }

    fn n_judged(&self) -> u64 {
        self.n_before + self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn part(number: i64) -> Part {
        let context =
            BatchContext { topic: Arc::from("t"), clock: number, lookups: Arc::default() };
        let numbers = Arc::new(Int64Array::from(vec![number])) as ArrayRef;
        Part { context, columns: RecordBatch::try_from_iter([("n", numbers)]).unwrap() }
    }

    fn push(log: &mut ReplayLog, number: i64) {
        log.push(&part(number), &[], Duration::from_millis(1));
    }

    fn state(log: &ReplayLog) -> (Vec<i64>, Option<u8>, u64, usize, Duration) {
        let clocks = log.entries().iter().map(|entry| entry.part.context.clock).collect();
        let snapshot = log.snapshot().and_then(|(_, bytes)| bytes.first().copied());
        (clocks, snapshot, log.n_judged(), log.rows, log.judging_took())
    }

    #[test]
    fn a_batch_is_rolled_back_even_over_snapshots() {
        for n_snapshots in 0..3 {
            let mut log = ReplayLog::default();
            push(&mut log, 1);
            log.truncate(1, Arc::from([7]), Duration::ZERO);
            push(&mut log, 2);
            let before = state(&log);
            let known = log.clone();
            log.begin();
            assert!(!log.clone().roll_back(), "nothing was judged");
            for number in 0..n_snapshots {
                push(&mut log, 10 + number);
                log.truncate(1, Arc::from([8]), Duration::ZERO);
            }
            push(&mut log, 20);
            assert!(log.roll_back());
            assert_eq!(state(&log), before, "{n_snapshots} snapshots");
            // Another instance that was in that state still is.
            assert!(known.missing_entries(&log).is_some_and(<[_]>::is_empty));
        }
    }

    #[test]
    fn what_has_ended_is_not_rolled_back() {
        let mut log = ReplayLog::default();
        log.begin();
        push(&mut log, 1);
        log.end();
        log.begin();
        push(&mut log, 2);
        log.roll_back();
        assert_eq!(state(&log).0, [1]);
        // A state that was lost, or begun, within the batch.
        let mut log = ReplayLog::default();
        push(&mut log, 1);
        assert!(log.roll_back() && log.is_fresh());
    }
}
