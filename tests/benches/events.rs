//! Batches of generated events, as the program itself makes them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch, Span, TopicPartition};
use audit_decode::JsonDecoder;
use audit_generate::{EventMeta, Generator, Settings};

/// Where generated time begins.
const START: &str = "2025-01-16T08:00:00Z";
/// Kafka time of every record: some time after the events, or a detector would not believe them.
pub(crate) const KAFKA_TIME_MS: i64 = 1_737_600_000_000;
const RECORD_BYTES_MAX: usize = 1 << 20;

pub(crate) const TOPIC: &str = "audit_events";

/// The generator of `bench pipeline`, with another time between two events if need be.
pub(crate) fn generator(n_events: u64, step: Duration) -> Result<Generator> {
    let settings = Settings::new(n_events, START.parse().context("the start")?);
    Ok(Generator::new(Settings { seed: 1, step, ..settings }))
}

/// So many events in batches of so many rows, decoded; one partition.
pub(crate) fn batches(n_events: usize, batch_rows: usize) -> Result<Vec<Batch>> {
    decode_all(records(n_events, batch_rows)?)
}

/// The same as Kafka has them.
pub(crate) fn records(n_events: usize, batch_rows: usize) -> Result<Vec<RawBatch>> {
    let mut generator = generator(n_events as u64, Duration::from_millis(9))?;
    records_of(&mut generator, batch_rows, |_| KAFKA_TIME_MS)
}

/// All events of a generator, with the Kafka time that `time_ms` gives to each.
pub(crate) fn records_of(
    generator: &mut Generator,
    batch_rows: usize,
    time_ms: impl Fn(&EventMeta) -> i64,
) -> Result<Vec<RawBatch>> {
    let topic: Arc<str> = Arc::from(TOPIC);
    let mut batches = Vec::new();
    let (mut event, mut offset) = (Vec::new(), 0);
    loop {
        let mut raw = RawBatch::empty(Arc::clone(&topic));
        let start = offset;
        while offset < start + batch_rows as i64 {
            event.clear();
            let Some(meta) = generator.next_event(&mut event) else { break };
            raw.push(0, offset, Some(time_ms(&meta)), &event);
            offset += 1;
        }
        if offset == start {
            return Ok(batches);
        }
        let span =
            Span { start, next: offset, records: (offset - start) as u64, leader_epoch: None };
        raw.covered.cover(TopicPartition::new(&topic, 0), span)?;
        batches.push(raw);
    }
}

pub(crate) fn decoder() -> JsonDecoder {
    JsonDecoder::new(audit_decode::Settings { max_record_bytes: RECORD_BYTES_MAX })
}

pub(crate) fn decode_all(records: Vec<RawBatch>) -> Result<Vec<Batch>> {
    let mut decoder = decoder();
    let batches = records.into_iter().map(|raw| {
        let batch = decoder.decode(raw)?;
        ensure!(batch.rejected.is_empty(), "a generated event did not decode");
        Ok(batch)
    });
    batches.collect()
}
