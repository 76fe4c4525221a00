//! Resource limits of a plugin, and how rows that it fails on are handled.

use std::time::Duration;

use serde::Deserialize;
use wasmtime::ResourceLimiter;

/// A part has the time of a batch divided by this, while the breaker is open.
const SHARES: u32 = 50;
/// But at least two ticks of the clock of deadlines.
const SHARE_MIN: Duration = Duration::from_millis(20);

/// Resource limits of one plugin. Memory, tables and instances count for each instance of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for one batch.
    pub batch_time: Duration,
    /// Time for instantiation, configuration, snapshot and restore, each.
    pub setup_time: Duration,
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Elements of all tables together: functions whose address is taken.
    pub table_elements: usize,
    /// Core instances that the component is made of, and as many memories and tables: a component made by
    /// Python's tool chain has 33.
    pub instances: usize,
    /// Bytes that one result, or one call of an import, may carry to the host.
    pub output_bytes: usize,
    /// Bytes of the component's file.
    pub file_bytes: u64,
    /// Rows of one batch that a plugin may fail on before its breaker opens.
    pub poison_rows: usize,
    /// How long a breaker stays open after the last failed row. And how long rows wait for a plugin that fails on
    /// every row, until they are given up.
    pub breaker_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_time: Duration::from_secs(1),
            setup_time: Duration::from_secs(10),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            instances: 64,
            output_bytes: 64 << 20,
            file_bytes: 64 << 20,
            poison_rows: 64,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The time for a part of a batch: its share, but at least a tenth of the whole, as a single row may be
    /// the slow one.
    pub(crate) fn part_time(&self, rows: usize, of: usize) -> Duration {
        let share = self.batch_time.mul_f64(rows as f64 / of.max(1) as f64);
        share.max(self.batch_time / 10)
    }

    /// The time that the search for poison rows may take in one batch. What is not found then is found by the open
    /// breaker, for which a row that fails is cheaper.
    pub(crate) fn search_time(&self) -> Duration {
        self.batch_time * 3
    }

    /// The time for a part, and then for each row of it, while the breaker is open: at most so much is lost with a
    /// row that never returns. Shorter than the resolution of deadlines makes no sense.
    pub(crate) fn share_time(&self) -> Duration {
        (self.batch_time / SHARES).max(SHARE_MIN).min(self.batch_time)
    }

    /// The time that starts, restores and snapshots may take together while the stream waits: in one search, in one
    /// trial of a plugin that is down, or at the end of an epoch.
    pub(crate) fn setup_budget(&self) -> Duration {
        self.batch_time * 10
    }

    /// The time in which a new instance must have caught up, while the stream waits.
    pub(crate) fn catch_up_time(&self) -> Duration {
        self.batch_time * 2
    }
}

/// How a row that a plugin fails on is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The row becomes a dead letter.
    #[default]
    Quarantine,
    /// The run ends before anything of the batch is committed.
    Halt,
    /// The row is stored as it was before the plugin. Not allowed for a plugin that replaces a column: what
    /// it should have redacted would be stored.
    Pass,
}

/// Which rows feed one state of a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All partitions in one stream, one instance.
    #[default]
    Merged,
    /// Each partition by itself, one instance each. Correct only if the topic is keyed by what the detector
    /// counts by.
    Partition,
}

/// Counts what one store allocates, and refuses what is over the limit.
pub(crate) struct Meter {
    limits: Limits,
    memory_bytes: usize,
    table_elements: usize,
    /// The highest memory use so far.
    pub(crate) peak_bytes: usize,
    /// The first refusal since the last call began.
    pub(crate) refused: Option<String>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory_bytes: 0, table_elements: 0, peak_bytes: 0, refused: None }
    }

    /// Bytes that may pass between host and guest in one call.
    pub(crate) fn output_bytes(&self) -> usize {
        self.limits.output_bytes
    }

    fn refuse(&mut self, what: String) -> bool {
        self.refused.get_or_insert(what);
        false
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if total > self.limits.memory_bytes {
            let limit = self.limits.memory_bytes;
            return Ok(
                self.refuse(format!("it requested {total} bytes of memory, more than {limit}"))
            );
        }
        self.memory_bytes = total;
        self.peak_bytes = self.peak_bytes.max(total);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        if total > self.limits.table_elements {
            let limit = self.limits.table_elements;
            return Ok(
                self.refuse(format!("it requested {total} table elements, more than {limit}"))
            );
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_a_store_share_one_limit() {
        let mut meter = Meter::new(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(60, 100, None).unwrap());
        assert_eq!(meter.peak_bytes, 100);
        let refused = meter.refused.unwrap();
        assert_eq!(refused, "it requested 120 bytes of memory, more than 100");
    }

    #[test]
    fn a_part_gets_its_share_of_the_time_but_at_least_a_tenth() {
        let limits = Limits::default();
        assert_eq!(limits.part_time(4096, 8192), Duration::from_millis(500));
        assert_eq!(limits.part_time(1, 8192), Duration::from_millis(100));
    }

    #[test]
    fn a_part_of_an_open_breaker_gets_a_fiftieth_of_the_time() {
        let of = |batch_time| Limits { batch_time, ..Limits::default() }.share_time();
        assert_eq!(of(Duration::from_secs(10)), Duration::from_millis(200));
        assert_eq!(of(Duration::from_millis(400)), Duration::from_millis(20));
        assert_eq!(of(Duration::from_millis(5)), Duration::from_millis(5));
    }

    #[test]
    fn on_error_and_scope_are_read_in_kebab_case() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};

        let text =
            |text: &'static str| -> StrDeserializer<'static, Error> { text.into_deserializer() };
        let on_error = |name| OnError::deserialize(text(name)).ok();
        assert_eq!(on_error("quarantine"), Some(OnError::Quarantine));
        assert_eq!(on_error("halt"), Some(OnError::Halt));
        assert_eq!(on_error("pass"), Some(OnError::Pass));
        assert_eq!(on_error("Halt"), None);
        assert_eq!(Scope::deserialize(text("merged")), Ok(Scope::Merged));
        assert_eq!(Scope::deserialize(text("partition")), Ok(Scope::Partition));
    }
}
