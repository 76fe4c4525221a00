//! Counts of a run, for progress lines and metrics. Updated once per batch or epoch, never per row.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotonic counts since the start, and a gauge.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read from the source.
    pub records_read: AtomicU64,
    /// Payload bytes read from the source.
    pub bytes_read: AtomicU64,
    /// How often a partition that delivered nothing held the others for too long.
    pub alignment_timeouts: AtomicU64,
    /// Partitions that the others are read without at the moment: no count, but a gauge.
    pub partitions_unaligned: AtomicU64,
    /// Rows in committed epochs.
    pub rows_committed: AtomicU64,
    /// Dead letters in committed epochs.
    pub dead_letters: AtomicU64,
    /// Alerts delivered.
    pub alerts: AtomicU64,
    /// Epochs committed.
    pub epochs: AtomicU64,
    /// Calls of plugins that trapped, timed out or returned invalid output, those of a search for rows included.
    pub plugin_failures: AtomicU64,
    /// Rows that a plugin could not judge.
    pub plugin_poison_rows: AtomicU64,
    /// Plugins replaced, added or removed while running.
    pub plugin_changes: AtomicU64,
    /// Plugin reloads that were rejected.
    pub plugin_refusals: AtomicU64,
    /// Batches for which a plugin was not called because its breaker was open.
    pub plugin_breaker_batches: AtomicU64,
    /// How often a detector lost its state.
    pub plugin_states_lost: AtomicU64,
    /// Lookups reloaded while running.
    pub lookup_changes: AtomicU64,
    /// Lookup reloads that were rejected.
    pub lookup_refusals: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn set(gauge: &AtomicU64, n: u64) {
        gauge.store(n, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
