//! Events without Kafka: payloads as batches of one partition, decoded as in a run.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch, Span, TopicPartition, schema};
use audit_decode::{JsonDecoder, Settings};

use crate::config::RECORD_BYTES_MAX;

/// The only partition.
const PARTITION: i32 = 0;

/// The times with which Kafka would have stamped the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// One time for all, in microseconds since 1970. Kafka has milliseconds: it is rounded up, so that
    /// an event of that very time is not in the future.
    At(i64),
    /// Each record the time of its own event; none if it does not decode.
    EventTime,
}

/// Makes batches of payloads; offsets go on from batch to batch.
pub(crate) struct Feed {
    topic: Arc<str>,
    decoder: JsonDecoder,
    next: i64,
}

impl Feed {
    pub(crate) fn new(topic: &str) -> Self {
        let max_record_bytes = usize::try_from(RECORD_BYTES_MAX).unwrap_or(usize::MAX);
        let decoder = JsonDecoder::new(Settings { max_record_bytes });
        Self { topic: Arc::from(topic), decoder, next: 0 }
    }

    /// The next batch.
    pub(crate) fn batch<P: AsRef<[u8]>>(
        &mut self,
        payloads: &[P],
        stamp: Stamp,
    ) -> Result<Batch, audit_core::Error> {
        let first = self.next;
        let next = first + payloads.len() as i64;
        let mut raw = RawBatch::empty(Arc::clone(&self.topic));
        let stamped = match stamp {
            Stamp::At(micros) => Some(millis(micros)),
            Stamp::EventTime => None,
        };
        for (offset, payload) in (first..next).zip(payloads) {
            raw.push(PARTITION, offset, stamped, payload.as_ref());
        }
        let span = Span { start: first, next, records: payloads.len() as u64, leader_epoch: None };
        let covered = raw.covered.cover(TopicPartition::new(&self.topic, PARTITION), span);
        covered.expect("the only span of a new batch follows no other");
        self.next = next;
        let batch = self.decoder.decode(raw)?;
        if stamp == Stamp::EventTime {
            self.decoder.decode(stamped_by_event(batch))
        } else {
            Ok(batch)
        }
    }
}

/// The records of a batch, each with the time of its event.
fn stamped_by_event(batch: Batch) -> RawBatch {
    let Batch { mut raw, columns, record_of_row, .. } = batch;
    let times = columns
        .column_by_name(schema::EVENT_TIMESTAMP)
        .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    for (time, record_idx) in times.into_iter().flatten().zip(record_of_row) {
        if let Some(record) = raw.records.get_mut(record_idx as usize) {
            record.timestamp_ms = time.map(millis);
        }
    }
    raw
}

fn millis(micros: i64) -> i64 {
    micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) != 0)
}

#[cfg(test)]
mod tests {
    use audit_core::RawRecord;

    use super::*;

    const EVENT: &str =
        r#"{"event_timestamp":"2025-01-16T08:00:00.000001Z","action_type":"user_login"}"#;

    fn stamps(batch: &Batch) -> Vec<Option<i64>> {
        batch.raw.records.iter().map(|record: &RawRecord| record.timestamp_ms).collect()
    }

    #[test]
    fn records_are_numbered_and_stamped() {
        let mut feed = Feed::new("t");
        let batch = feed.batch(&[EVENT, "no event"], Stamp::EventTime).unwrap();
        assert_eq!(stamps(&batch), [Some(1_737_014_400_001), None]);
        assert_eq!((batch.columns.num_rows(), batch.rejected.len()), (1, 1));
        let batch = feed.batch(&[EVENT], Stamp::At(-1)).unwrap();
        assert_eq!(stamps(&batch), [Some(0)]);
        assert_eq!(batch.raw.records[0].offset, 2);
        assert_eq!(feed.batch::<&str>(&[], Stamp::EventTime).unwrap().columns.num_rows(), 0);
    }
}
