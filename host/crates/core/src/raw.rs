//! Records as they came from the source, not decoded yet.

use std::sync::Arc;

use crate::offset::Offsets;

/// The place of one record, and where its bytes end.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord {
    pub partition: i32,
    pub offset: i64,
    /// When Kafka (or its producer) stamped the record, in milliseconds since 1970. `None`: unstamped.
    pub timestamp_ms: Option<i64>,
    /// The end of the payload in [`RawBatch::bytes`]; it starts where the record before ends.
    pub end: usize,
}

/// Records of one topic, in the order of each partition. The payloads share one buffer, so that the client's
/// own memory is freed at once.
#[derive(Debug, Clone)]
pub struct RawBatch {
    pub topic: Arc<str>,
    pub records: Vec<RawRecord>,
    pub bytes: Vec<u8>,
    /// The offsets that this batch covers; may be more than its records.
    pub covered: Offsets,
}

impl RawBatch {
    pub fn empty(topic: Arc<str>) -> Self {
        Self { topic, records: Vec::new(), bytes: Vec::new(), covered: Offsets::default() }
    }

    /// Appends a record; a null payload is an empty one.
    pub fn push(&mut self, partition: i32, offset: i64, timestamp_ms: Option<i64>, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        let end = self.bytes.len();
        self.records.push(RawRecord { partition, offset, timestamp_ms, end });
    }

    /// The payload of the record at `idx`; empty when there is no such record.
    pub fn payload(&self, idx: usize) -> &[u8] {
        let start = match idx.checked_sub(1) {
            Some(before) => self.records.get(before).map_or(0, |record| record.end),
            None => 0,
        };
        let end = self.records.get(idx).map_or(start, |record| record.end);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Every record with its payload.
    pub fn iter(&self) -> impl Iterator<Item = (&RawRecord, &[u8])> {
        self.records.iter().enumerate().map(|(idx, record)| (record, self.payload(idx)))
    }
}
