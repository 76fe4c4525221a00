//! Which records a batch or an epoch covers: per partition one contiguous span of offsets.
//!
//! An offset is a position, not a count: compaction, transaction markers and aborted transactions
//! leave holes. A span therefore counts the records that it saw beside its two ends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A partition of a Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: &Arc<str>, partition: i32) -> Self {
        Self { topic: Arc::clone(topic), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The leader of a partition that wrote a record, and where the record ends. Only together do they say whether a
/// log still holds what was read: after an unclean election, or after a log was deleted and filled again, other
/// records stand at the same offsets, and the log of that leader ends before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderEpoch {
    /// Kafka's number of the leader; each election raises it.
    pub epoch: i32,
    /// The offset after the record.
    pub end: i64,
}

/// The offsets `start..next` of one partition, and how many records they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first offset covered.
    pub start: i64,
    /// The offset to read next.
    pub next: i64,
    /// Records seen in `start..next`.
    pub records: u64,
    /// Of the last record; `None` without a record, or if the broker gives no epochs.
    #[serde(default)]
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Span {
    /// Offsets that held no record for us: transaction markers, compacted or aborted records.
    pub fn holes(&self) -> u64 {
        (self.next - self.start).unsigned_abs().saturating_sub(self.records)
    }
}

/// Two spans of one partition that are not adjacent: covering both would hide a loss or a repetition.
#[derive(Debug, thiserror::Error)]
#[error("{partition} was covered up to offset {expected}, but the next span starts at {found}")]
pub struct NotContiguous {
    pub partition: TopicPartition,
    pub expected: i64,
    pub found: i64,
}

/// A span for each partition.
// Invariant: `start <= next` for every span; spans only grow at their end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets {
    spans: BTreeMap<TopicPartition, Span>,
}

impl Offsets {
    /// Appends a span to what is covered already.
    pub fn cover(&mut self, partition: TopicPartition, span: Span) -> Result<(), NotContiguous> {
        match self.spans.entry(partition) {
            Entry::Vacant(slot) => {
                slot.insert(span);
            }
            Entry::Occupied(mut slot) => {
                if slot.get().next != span.start {
                    return Err(NotContiguous {
                        partition: slot.key().clone(),
                        expected: slot.get().next,
                        found: span.start,
                    });
                }
                let covered = slot.get_mut();
                covered.next = span.next;
                covered.records += span.records;
                covered.leader_epoch = span.leader_epoch.or(covered.leader_epoch);
            }
        }
        Ok(())
    }

    /// Adds every span of `other`.
    pub fn extend(&mut self, other: &Offsets) -> Result<(), NotContiguous> {
        for (partition, span) in &other.spans {
            self.cover(partition.clone(), *span)?;
        }
        Ok(())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Span)> {
        self.spans.iter()
    }

    pub fn get(&self, partition: &TopicPartition) -> Option<&Span> {
        self.spans.get(partition)
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Records seen in all spans.
    pub fn n_records(&self) -> u64 {
        self.spans.values().map(|span| span.records).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p0() -> TopicPartition {
        TopicPartition::new(&Arc::from("t"), 0)
    }

    fn epoch(epoch: i32) -> LeaderEpoch {
        LeaderEpoch { epoch, end: 10 }
    }

    #[test]
    fn spans_grow_only_at_their_end() {
        let mut offsets = Offsets::default();
        offsets
            .cover(p0(), Span { start: 5, next: 9, records: 3, leader_epoch: Some(epoch(7)) })
            .unwrap();
        offsets
            .cover(p0(), Span { start: 9, next: 10, records: 1, leader_epoch: Some(epoch(8)) })
            .unwrap();
        offsets.cover(p0(), Span { start: 10, next: 10, records: 0, leader_epoch: None }).unwrap();
        let span = *offsets.get(&p0()).unwrap();
        assert_eq!((span.start, span.next, span.records, span.holes()), (5, 10, 4, 1));
        assert_eq!(span.leader_epoch, Some(epoch(8)), "of the last span with a record");

        for start in [8, 11] {
            let late = Span { start, next: 20, records: 1, leader_epoch: None };
            let refused = offsets.cover(p0(), late).unwrap_err();
            assert_eq!((refused.expected, refused.found), (10, start));
        }
    }
}
