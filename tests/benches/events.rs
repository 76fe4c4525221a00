//! Batches of generated events, as the program itself makes them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch, Span, TopicPartition};
use audit_decode::JsonDecoder;
use audit_generate::{Generator, Settings};

/// Where generated time begins.
const START: &str = "2025-01-16T08:00:00Z";
/// Kafka time of every record: some time after the events, or a detector would not believe them.
const KAFKA_TIME_MS: i64 = 1_737_600_000_000;
const RECORD_BYTES_MAX: usize = 1 << 20;

pub(crate) const TOPIC: &str = "audit_events";

/// The generator of `bench pipeline`, with another time between two events if need be.
pub(crate) fn generator(n_events: u64, step: Duration) -> Result<Generator> {
    let settings = Settings::new(n_events, START.parse().context("the start")?);
    Ok(Generator::new(Settings { seed: 1, step, ..settings }))
}

/// So many events in batches of so many rows, decoded; one partition.
pub(crate) fn batches(n_events: usize, batch_rows: usize) -> Result<Vec<Batch>> {
    let topic: Arc<str> = Arc::from(TOPIC);
    let mut generator = generator(n_events as u64, Duration::from_millis(9))?;
    let mut decoder =
        JsonDecoder::new(audit_decode::Settings { max_record_bytes: RECORD_BYTES_MAX });
    let mut event = Vec::new();
    let mut batches = Vec::new();
    for start in (0..n_events).step_by(batch_rows) {
        let mut raw = RawBatch::empty(Arc::clone(&topic));
        let (start, next) = (start as i64, n_events.min(start + batch_rows) as i64);
        for offset in start..next {
            event.clear();
            generator.next_event(&mut event).context("the generator ended early")?;
            raw.push(0, offset, Some(KAFKA_TIME_MS), &event);
        }
        let span = Span { start, next, records: (next - start) as u64 };
        raw.covered.cover(TopicPartition::new(&topic, 0), span)?;
        let batch = decoder.decode(raw)?;
        ensure!(batch.rejected.is_empty(), "a generated event did not decode");
        batches.push(batch);
    }
    Ok(batches)
}
