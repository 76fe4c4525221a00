//! What a plugin may take, and what becomes of rows that it cannot judge.

use std::time::Duration;

use serde::Deserialize;
use wasmtime::ResourceLimiter;

/// What one plugin may take. Memory, tables and instances count for each instance of it.
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
    /// Core instances that the component is made of, and as many memories and tables: a component of
    /// Python has 33.
    pub instances: usize,
    /// Bytes that one answer, or one call of an import, may carry to the host.
    pub output_bytes: usize,
    /// Bytes of the component's file.
    pub file_bytes: u64,
    /// Rows of one batch that a plugin may fail on before its breaker opens.
    pub poison_rows: usize,
    /// How long a plugin is not asked once its breaker is open.
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
            file_bytes: 128 << 20,
            poison_rows: 64,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The time for a part of a batch. A part gets its share, and never less than a tenth: one row may
    /// be the one that takes long.
    pub(crate) fn part_time(&self, rows: usize, of: usize) -> Duration {
        let share = self.batch_time.mul_f64(rows as f64 / of.max(1) as f64);
        share.max(self.batch_time / 10)
    }

    /// The time that looking for poison rows may take in one batch.
    pub(crate) fn bisect_time(&self) -> Duration {
        self.batch_time * 10
    }

    /// The same while the breaker is open and the plugin is only tried.
    pub(crate) fn probe_time(&self) -> Duration {
        self.batch_time * 2
    }
}

/// What becomes of a row that a plugin cannot judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The row becomes a dead letter.
    #[default]
    Quarantine,
    /// The run ends before anything of the batch is committed.
    Halt,
    /// The row is stored as it was before the plugin. Refused for a plugin that replaces a column:
    /// what it should have redacted would be stored.
    Pass,
}

/// What feeds one state of a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All partitions in one stream, one instance.
    #[default]
    Merged,
    /// Each partition by itself, one instance each: right where the topic is keyed by what the detector
    /// counts by.
    Partition,
}

/// Counts what one store takes, and refuses what is over the limit.
pub(crate) struct Meter {
    limits: Limits,
    memory_bytes: usize,
    table_elements: usize,
    /// The most memory that was taken at a time.
    pub(crate) peak_bytes: usize,
    /// The first thing that was refused since the last call began.
    pub(crate) refused: Option<String>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory_bytes: 0, table_elements: 0, peak_bytes: 0, refused: None }
    }

    /// Bytes that may pass between host and guest at a time.
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
            return Ok(self.refuse(format!("it wanted {total} bytes of memory, more than {limit}")));
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
            return Ok(self.refuse(format!("it wanted {total} table elements, more than {limit}")));
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
        assert_eq!(refused, "it wanted 120 bytes of memory, more than 100");
    }

    #[test]
    fn a_part_gets_its_share_of_the_time_and_never_nothing() {
        let limits = Limits::default();
        assert_eq!(limits.part_time(4096, 8192), Duration::from_millis(500));
        assert_eq!(limits.part_time(1, 8192), Duration::from_millis(100));
    }
}
