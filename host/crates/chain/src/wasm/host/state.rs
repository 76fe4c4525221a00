//! The host's data of one instance: grants, limits, clock and log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_core::text::clipped;
use audit_lookup::{Lookups, Set};

use crate::limits::{Limits, Meter};
use crate::wasm::abi::audit_host::plugin::log;
use crate::wasm::host::clock::VirtualClock;
use crate::wasm::keys::Keys;

/// Bytes of a log line that are kept.
const LOG_LINE_BYTES_MAX: usize = 1024;
/// Log lines of one call that are kept: a plugin that logs a line per row must not bury the others.
const LOG_LINES_MAX: u32 = 100;

/// What a plugin may use besides the batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) keys: Keys,
    pub(crate) lookups: Granted,
}

/// The tables and calendars that a plugin may use, by name.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    pub names: BTreeSet<String>,
    /// Holds them; it may also hold others, which the plugin cannot see.
    pub lookups: Lookups,
}

/// The host's side of one plugin instance.
pub(crate) struct Guest {
    plugin: String,
    pub(crate) grants: Grants,
    /// Tables and calendars as they are for the batch that is judged.
    pub(crate) lookups: Arc<Set>,
    pub(crate) meter: Meter,
    pub(crate) clock: VirtualClock,
    /// The last warning or error that it logged in this call. After a panic it has the message, which a
    /// trap lacks.
    pub(crate) last_error: Option<String>,
    log_lines: u32,
    /// When the guest's call must have ended.
    deadline: Instant,
}

impl Guest {
    pub(crate) fn new(plugin: String, grants: Grants, limits: Limits) -> Self {
        let (meter, clock) = (Meter::new(limits), VirtualClock::default());
        let lookups = grants.lookups.lookups.current();
        let deadline = Instant::now() + limits.setup_time;
        Self { plugin, grants, lookups, meter, clock, last_error: None, log_lines: 0, deadline }
    }

    /// Sets the batch that the next calls are about.
    pub(crate) fn begin_batch(&mut self, topic: &str, clock: i64, lookups: &Arc<Set>) {
        self.clock.begin_batch(&self.plugin, topic, clock);
        self.lookups = Arc::clone(lookups);
    }

    /// Must be called before every call into the guest, with the call's time limit.
    pub(crate) fn begin_call(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
        if self.log_lines > LOG_LINES_MAX {
            let dropped = self.log_lines - LOG_LINES_MAX;
            tracing::warn!(plugin = self.plugin, dropped, "log lines of a plugin were dropped");
        }
        self.log_lines = 0;
        self.last_error = None;
        self.meter.refused = None;
    }

    /// Whether the time of the call is over. Nothing interrupts what the host does for a guest, so that work
    /// checks it.
    pub(crate) fn is_over_time(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Writes a line of the guest to the host's log, unless there were too many of them.
    pub(crate) fn log_line(&mut self, level: log::Level, message: &str) {
        self.log_lines = self.log_lines.saturating_add(1);
        if self.log_lines > LOG_LINES_MAX {
            return;
        }
        let plugin = self.plugin.as_str();
        let line = clipped(message, LOG_LINE_BYTES_MAX);
        match level {
            log::Level::Debug => tracing::debug!(plugin, line, "plugin"),
            log::Level::Info => tracing::info!(plugin, line, "plugin"),
            log::Level::Warn => tracing::warn!(plugin, line, "plugin"),
            log::Level::Error => tracing::error!(plugin, line, "plugin"),
        }
        if matches!(level, log::Level::Warn | log::Level::Error) {
            self.last_error = Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_clipped() {
        let mut guest = Guest::new("p".to_owned(), Grants::default(), Limits::default());
        let mut logged = |message: &str| {
            guest.log_line(log::Level::Error, message);
            guest.last_error.clone().unwrap()
        };
        assert_eq!(logged("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(logged(&"é".repeat(2000)).len(), 1024);
    }
}
