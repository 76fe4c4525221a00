//! Figures of a run, for progress lines and metrics. Counted once a batch or epoch, never a row.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotonic counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read from the source.
    pub records_read: AtomicU64,
    /// Payload bytes read from the source.
    pub bytes_read: AtomicU64,
    /// Rows in committed epochs.
    pub rows_committed: AtomicU64,
    /// Dead letters in committed epochs.
    pub dead_letters: AtomicU64,
    /// Alerts delivered.
    pub alerts: AtomicU64,
    /// Epochs committed.
    pub epochs: AtomicU64,
    /// Calls of plugins that trapped, took too long or answered wrongly, bisecting included.
    pub plugin_failures: AtomicU64,
    /// Rows that a plugin could not judge.
    pub plugin_poison_rows: AtomicU64,
    /// Plugins exchanged, added or removed while running.
    pub plugin_changes: AtomicU64,
    /// Candidates that were not taken.
    pub plugin_refusals: AtomicU64,
    /// Batches through which a plugin was not asked because its breaker was open.
    pub plugin_breaker_batches: AtomicU64,
    /// How often a detector lost what it remembered.
    pub plugin_states_lost: AtomicU64,
    /// Tables and calendars that were exchanged while running.
    pub lookup_changes: AtomicU64,
    /// Changed tables and calendars that were not taken.
    pub lookup_refusals: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
