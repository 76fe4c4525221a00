//! Sorts the messages of librdkafka into batches of one topic each, and tracks the positions.

use std::collections::VecDeque;
use std::sync::Arc;

use audit_core::{RawBatch, TopicPartition};

use crate::error::{Error, LogEnd};
use crate::ffi::{Message, MessageError};
use crate::progress::{Assignment, Progress};

/// Payload bytes of one batch: bounds the memory of a batch of large records, and keeps every column of it far
/// below the 2 GiB that Arrow's text columns can hold.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(crate) struct Sorter<'a> {
    topics: &'a [Arc<str>],
    assignment: &'a mut Assignment,
    ready: &'a mut VecDeque<RawBatch>,
    /// librdkafka gave up a partition and must be assigned again.
    pub(crate) must_assign: bool,
    pub(crate) failed: Option<Error>,
}

impl<'a> Sorter<'a> {
    pub(crate) fn new(
        topics: &'a [Arc<str>],
        assignment: &'a mut Assignment,
        ready: &'a mut VecDeque<RawBatch>,
    ) -> Self {
        Self { topics, assignment, ready, must_assign: false, failed: None }
    }

    pub(crate) fn take(&mut self, message: &Message<'_>) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.sort(message) {
            self.failed = Some(error);
        }
    }

    fn sort(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let Some(topic) = self.topics.iter().find(|topic| ***topic == *message.topic) else {
            return match &message.error {
                Some(MessageError::Other(text)) => Err(Error::Consumer((*text).to_owned())),
                _ => Ok(()),
            };
        };
        let partition = TopicPartition::new(topic, message.partition);
        let Some(progress) = self.assignment.get_mut(&partition) else { return Ok(()) };
        let is_gone = matches!(message.error, Some(MessageError::OffsetOutOfRange));
        let is_lost = is_gone || matches!(message.error, Some(MessageError::LogTruncated(_)));
        if (is_gone && progress.skip_holes()) || (is_lost && progress.doubt_loss()) {
            self.must_assign = true;
            return Ok(());
        }
        if progress.is_doubted() && !is_lost {
            // Fetched before the seek that comes next.
            return Ok(());
        }
        match &message.error {
            None | Some(MessageError::PartitionEnd) => self.append(topic, partition, message),
            Some(MessageError::OffsetOutOfRange) => {
                Err(Error::OffsetGone { partition, offset: progress.next })
            }
            Some(MessageError::LogTruncated(text)) => {
                Err(truncated(partition, progress, end_in(text)))
            }
            Some(MessageError::Transient(text)) => {
                tracing::warn!(%partition, error = *text, "could not read a partition; trying again");
                Ok(())
            }
            Some(MessageError::Other(text)) => {
                Err(Error::Read { partition, message: (*text).to_owned() })
            }
        }
    }

    /// Adds a record (or the end of a partition, which covers offsets without a record).
    fn append(
        &mut self,
        topic: &Arc<str>,
        partition: TopicPartition,
        message: &Message<'_>,
    ) -> Result<(), Error> {
        let Some(progress) = self.assignment.get_mut(&partition) else { return Ok(()) };
        let is_record = message.error.is_none();
        let (offset, epoch) = (message.offset, message.leader_epoch);
        if offset < progress.next && is_record {
            // It is covered already: validated positions may lie before ours.
            return Ok(());
        }
        if progress.is_odd(offset, epoch) {
            progress.doubt();
            return Ok(());
        }
        if let (Some(last), Some(epoch)) = (progress.leader_epoch, epoch)
            && epoch < last.epoch
        {
            return Err(truncated(partition, progress, None));
        }
        let span = if is_record {
            progress.cover_record(offset + 1, epoch)
        } else {
            progress.cover_end(offset.max(progress.next))
        };
        if span.start == span.next {
            return Ok(());
        }
        let batch = self.open_batch(topic, message.payload.len());
        if is_record {
            batch.push(message.partition, message.offset, message.timestamp_ms, message.payload);
        }
        batch
            .covered
            .cover(partition.clone(), span)
            .map_err(|gap| Error::Read { partition, message: gap.to_string() })
    }

    /// Records of several topics come interleaved: each topic has an open batch of its own.
    fn open_batch(&mut self, topic: &Arc<str>, n_bytes: usize) -> &mut RawBatch {
        let open = self
            .ready
            .iter()
            .rposition(|batch| batch.topic == *topic)
            .filter(|at| self.ready[*at].bytes.len() + n_bytes <= BATCH_BYTES_MAX);
        match open {
            Some(at) => &mut self.ready[at],
            None => self.ready.push_back_mut(RawBatch::empty(Arc::clone(topic))),
        }
    }
}

fn truncated(partition: TopicPartition, progress: &Progress, end: Option<i64>) -> Error {
    // Without an epoch of ours there was nothing to validate.
    let epoch = progress.leader_epoch.map_or(-1, |last| last.epoch);
    Error::LogTruncated { partition, offset: progress.next, epoch, end: LogEnd(end) }
}

/// Where the log ends according to librdkafka: `… broker end offset is 50 (offset leader epoch 0) …`.
fn end_in(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("broker end offset is ")?;
    let number = rest.split(' ').next()?.trim_end_matches(['.', ',']);
    number.parse().ok().filter(|end| *end >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_truncated_log_is_read_from_the_text() {
        let text = "Partition log truncation detected at offset 100 (leader epoch 0): broker end offset is 50 \
                    (offset leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected";
        assert_eq!(end_in(text), Some(50));
        assert_eq!(end_in("broker end offset is -1 (offset leader epoch -1)."), None);
        assert_eq!(end_in("anything else"), None);
    }
}
