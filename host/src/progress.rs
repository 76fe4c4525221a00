//! Progress of a run, for people.

use std::fmt;
use std::time::{Duration, Instant};

use audit_core::Counters;

/// How often a run logs its progress.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) events: u64,
    pub(crate) rows: u64,
    pub(crate) dead_letters: u64,
    pub(crate) alerts: u64,
    pub(crate) epochs: u64,
    at: Instant,
}

impl Progress {
    pub(crate) fn of(counters: &Counters) -> Self {
        Self {
            events: Counters::get(&counters.records_read),
            rows: Counters::get(&counters.rows_committed),
            dead_letters: Counters::get(&counters.dead_letters),
            alerts: Counters::get(&counters.alerts),
            epochs: Counters::get(&counters.epochs),
            at: Instant::now(),
        }
    }

    /// Events a second since an earlier moment.
    pub(crate) fn rate_since(&self, earlier: &Self) -> f64 {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64().max(f64::EPSILON);
        self.events.saturating_sub(earlier.events) as f64 / seconds
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events in, {} rows committed in {} commits, {} dead letters, {} alerts",
            self.events, self.rows, self.epochs, self.dead_letters, self.alerts
        )
    }
}
