//! What a detector's state can be rebuilt from, by itself or by another instance: the last snapshot, and
//! what it has judged since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use audit_core::Alert;
use audit_lookup::Set;

use crate::shadow::{Finding, finding};

/// Rows that a detector may be ahead of its last snapshot: bounds what a failure repeats (some
/// milliseconds) and the columns that are kept for it (some ten MiB).
const ROWS_MAX: usize = 131_072;
/// The same bound for rows that are large.
const BYTES_MAX: usize = 16 << 20;
/// And for batches that are small: each may take its whole time again.
const PARTS_MAX: usize = 256;
/// A large state takes long to write. Then up to so many times as much is kept, ...
const STRETCH_MAX: usize = 4;
/// ... until snapshots take one part in so many of the detector's time.
const SHARE_OF_TIME: u32 = 8;

/// What a batch is judged in besides its rows. Kept with them, so that judging them again gives the same.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) topic: Arc<str>,
    pub(crate) clock: i64,
    /// Tables and calendars as they were when the rows came.
    pub(crate) lookups: Arc<Set>,
}

/// Rows of one topic with the columns that the plugin reads.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) moment: Moment,
    pub(crate) columns: RecordBatch,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let columns = self.columns.slice(start, rows);
        Self { moment: self.moment.clone(), columns }
    }
}

/// A part that was judged, and what was found in it.
#[derive(Clone)]
pub(crate) struct Past {
    pub(crate) part: Part,
    pub(crate) findings: Arc<[Finding]>,
}

/// What a state can be rebuilt from.
#[derive(Default, Clone)]
pub(crate) struct Memory {
    /// The parts that came one after the other from one beginning: instances of one life that have
    /// judged equally many are at the same place.
    life: Arc<()>,
    /// Version and bytes; `None` for a detector that has seen nothing before `since`.
    snapshot: Option<(u32, Arc<[u8]>)>,
    /// Parts of this life before `since`.
    n_before: u64,
    since: Vec<Past>,
    rows: usize,
    bytes: usize,
    /// What judging `since` took.
    judged_for: Duration,
    /// What the last snapshot took.
    snapshot_took: Duration,
    /// While another instance catches up nothing is dropped.
    held_until: Option<Instant>,
}

impl Memory {
    /// Beginning with a state of elsewhere.
    pub(crate) fn beginning_with(version: u32, bytes: Arc<[u8]>) -> Self {
        Self { snapshot: Some((version, bytes)), ..Self::default() }
    }

    pub(crate) fn snapshot(&self) -> Option<(u32, &Arc<[u8]>)> {
        self.snapshot.as_ref().map(|(version, bytes)| (*version, bytes))
    }

    pub(crate) fn since(&self) -> &[Past] {
        &self.since
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.snapshot.is_none() && self.n_judged() == 0
    }

    pub(crate) fn push(&mut self, part: &Part, alerts: &[Alert], took: Duration) {
        self.rows += part.rows();
        // For a part of a batch this counts the whole batch: too early a snapshot does no harm.
        self.bytes += part.columns.get_array_memory_size();
        self.judged_for += took;
        let findings: Arc<[Finding]> = alerts.iter().map(finding).collect();
        self.bytes += findings.iter().map(Finding::size).sum::<usize>();
        self.since.push(Past { part: part.clone(), findings });
    }

    /// Whether it is time for a snapshot: for the memory's sake, or as judging all of it again would take
    /// longer than `time`.
    pub(crate) fn is_full(&self, time: Duration) -> bool {
        let is_over = |factor: usize| {
            self.rows >= ROWS_MAX * factor
                || self.bytes >= BYTES_MAX * factor
                || self.since.len() >= PARTS_MAX * factor
        };
        let is_worth_it = self.judged_for >= self.snapshot_took * SHARE_OF_TIME;
        let is_held = self.held_until.is_some_and(|until| Instant::now() < until);
        let is_long = self.judged_for >= time;
        is_over(STRETCH_MAX) || ((is_over(1) || is_long) && is_worth_it && !is_held)
    }

    /// What judging the parts since the snapshot took.
    pub(crate) fn judged_for(&self) -> Duration {
        self.judged_for
    }

    /// Keeps a snapshot in place of the parts before it.
    pub(crate) fn keep(&mut self, version: u32, bytes: Arc<[u8]>, took: Duration) {
        self.n_before = self.n_judged();
        self.snapshot = Some((version, bytes));
        self.snapshot_took = took;
        self.since.clear();
        (self.rows, self.bytes, self.judged_for) = (0, 0, Duration::ZERO);
    }

    pub(crate) fn hold(&mut self, time: Duration) {
        self.held_until = Some(Instant::now() + time);
    }

    /// Who catches up does not stop for a snapshot either.
    pub(crate) fn hold_like(&mut self, other: &Self) {
        self.held_until = self.held_until.max(other.held_until);
    }

    /// Whether a plugin that reads these columns can judge what was judged: it was kept as it was read.
    pub(crate) fn is_read_by(&self, reads: &[String]) -> bool {
        self.since.iter().all(|past| {
            let schema = past.part.columns.schema_ref();
            schema.fields().iter().map(|field| field.name()).eq(reads)
        })
    }

    /// What an instance with this memory has still to judge to be where `other` is. `None` if it cannot
    /// get there from where it is.
    pub(crate) fn missing_of<'a>(&self, other: &'a Memory) -> Option<&'a [Past]> {
        if !Arc::ptr_eq(&self.life, &other.life) {
            return None;
        }
        let n_known = self.n_judged().checked_sub(other.n_before)?;
        other.since.get(usize::try_from(n_known).ok()?..)
    }

    /// The memory of an instance that was just put where `other` was at its last snapshot.
    pub(crate) fn at_snapshot_of(other: &Memory) -> Self {
        Self {
            life: Arc::clone(&other.life),
            snapshot: other.snapshot.clone(),
            n_before: other.n_before,
            snapshot_took: other.snapshot_took,
            ..Self::default()
        }
    }

    fn n_judged(&self) -> u64 {
        self.n_before + self.since.len() as u64
    }
}
