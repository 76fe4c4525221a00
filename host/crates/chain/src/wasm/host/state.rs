//! The host's data of one instance: grants, limits, clock and log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_core::text::clipped;
use audit_lookup::{Lookups, Set};

use crate::limits::{Limits, Meter};
use crate::wasm::abi::audit_host::plugin::log;
use crate::wasm::host::clock::VirtualClock;
use crate::wasm::host::quota::{LogQuota, Suppressed};
use crate::wasm::keys::Keys;
use crate::wasm::mask::Values;

/// Bytes of a log line that are kept.
const LOG_LINE_BYTES_MAX: usize = 1024;

/// What a plugin may use besides the batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) keys: Keys,
    pub(crate) lookups: Granted,
    pub(crate) log: LogQuota,
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
    /// What the guest knows of events and must not say.
    pub(crate) values: Values,
    /// The last warning or error that it logged in this call, as it came. After a panic it has the message, which a
    /// trap lacks.
    last_error: Option<String>,
    /// When the guest's call must have ended.
    deadline: Instant,
}

impl Guest {
    pub(crate) fn new(plugin: String, grants: Grants, limits: Limits) -> Self {
        let (meter, clock) = (Meter::new(limits), VirtualClock::default());
        let lookups = grants.lookups.lookups.current();
        let deadline = Instant::now() + limits.setup_time;
        let values = Values::default();
        Self { plugin, grants, lookups, meter, clock, values, last_error: None, deadline }
    }

    /// Sets the batch that the next calls are about.
    pub(crate) fn begin_batch(&mut self, topic: &str, clock: i64, lookups: &Arc<Set>) {
        self.clock.begin_batch(&self.plugin, topic, clock);
        self.lookups = Arc::clone(lookups);
    }

    /// Must be called before every call into the guest, with the call's time limit.
    pub(crate) fn begin_call(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
        self.report_suppressed();
        self.last_error = None;
        self.meter.refused = None;
    }

    /// Whether the time of the call is over. Nothing interrupts what the host does for a guest, so that work
    /// checks it.
    pub(crate) fn is_over_time(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// The last warning or error of this call, without values of events.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.as_ref().map(|line| self.values.hide(line))
    }

    /// Writes a line of the guest to the host's log, without values of events, unless there were too many lines.
    pub(crate) fn log_line(&mut self, level: log::Level, message: &str) {
        let line = clipped(message, LOG_LINE_BYTES_MAX);
        if matches!(level, log::Level::Warn | log::Level::Error) {
            self.last_error = Some(line.clone());
        }
        self.report_suppressed();
        // A line that the log does not show costs nothing.
        if is_logged(level) && self.grants.log.allows(line.len(), Instant::now()) {
            self.write_line(level, &self.values.hide(&line));
        }
    }

    fn write_line(&self, level: log::Level, line: &str) {
        let plugin = self.plugin.as_str();
        match level {
            log::Level::Debug => tracing::debug!(plugin, line, "plugin"),
            log::Level::Info => tracing::info!(plugin, line, "plugin"),
            log::Level::Warn => tracing::warn!(plugin, line, "plugin"),
            log::Level::Error => tracing::error!(plugin, line, "plugin"),
        }
    }

    fn report_suppressed(&self) {
        if let Some(Suppressed { lines, bytes }) = self.grants.log.take_report(Instant::now()) {
            let plugin = self.plugin.as_str();
            tracing::warn!(plugin, lines, bytes, "log lines of a plugin were suppressed");
        }
    }
}

fn is_logged(level: log::Level) -> bool {
    match level {
        log::Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        log::Level::Info => tracing::enabled!(tracing::Level::INFO),
        log::Level::Warn => tracing::enabled!(tracing::Level::WARN),
        log::Level::Error => tracing::enabled!(tracing::Level::ERROR),
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
            guest.last_error().unwrap()
        };
        assert_eq!(logged("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(logged(&"é".repeat(2000)).len(), 1024);
    }
}
