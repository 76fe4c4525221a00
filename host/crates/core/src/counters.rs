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
}

impl Counters {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
