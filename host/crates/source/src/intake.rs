//! What a message of librdkafka means for its partition.

use audit_core::{Span, TopicPartition};

use crate::error::{Error, LogEnd};
use crate::ffi::{Message, MessageError};
use crate::progress::Progress;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A record, which covers this.
    Record(Span),
    /// The partition ends here; offsets without a record may lie before that.
    End(Span),
    /// Nothing that concerns us.
    Nothing,
    /// librdkafka gave up the partition and must be assigned again.
    MustAssign,
}

/// Takes a message of the partition `at`, and moves our position behind it.
pub(crate) fn take(
    at: &TopicPartition,
    progress: &mut Progress,
    message: &Message<'_>,
) -> Result<Taken, Error> {
    let is_gone = matches!(message.error, Some(MessageError::OffsetOutOfRange));
    let is_lost = is_gone || matches!(message.error, Some(MessageError::LogTruncated(_)));
    if (is_gone && progress.skip_holes()) || (is_lost && progress.doubt_loss()) {
        return Ok(Taken::MustAssign);
    }
    if progress.is_doubted() && !is_lost {
        // Fetched before the seek that comes next.
        return Ok(Taken::Nothing);
    }
    let partition = || at.clone();
    match &message.error {
        None | Some(MessageError::PartitionEnd) => cover(at, progress, message),
        Some(MessageError::OffsetOutOfRange) => {
            Err(Error::OffsetGone { partition: partition(), offset: progress.next })
        }
        Some(MessageError::LogTruncated(text)) => Err(truncated(at, progress, end_in(text))),
        Some(MessageError::Transient(text)) => {
            tracing::warn!(partition = %at, error = *text, "could not read a partition; trying again");
            Ok(Taken::Nothing)
        }
        Some(MessageError::Other(text)) => {
            Err(Error::Read { partition: partition(), message: (*text).to_owned() })
        }
    }
}

/// A record, or the end of the partition, which covers offsets without a record.
fn cover(
    at: &TopicPartition,
    progress: &mut Progress,
    message: &Message<'_>,
) -> Result<Taken, Error> {
    let is_record = message.error.is_none();
    let (offset, epoch) = (message.offset, message.leader_epoch);
    if offset < progress.next && is_record {
        // It is covered already: validated positions may lie before ours.
        return Ok(Taken::Nothing);
    }
    if progress.is_odd(offset, epoch) {
        progress.doubt();
        return Ok(Taken::Nothing);
    }
    if let (Some(last), Some(epoch)) = (progress.leader_epoch, epoch)
        && epoch < last.epoch
    {
        return Err(truncated(at, progress, None));
    }
    Ok(if is_record {
        Taken::Record(progress.cover_record(offset + 1, epoch))
    } else {
        Taken::End(progress.cover_end(offset.max(progress.next)))
    })
}

fn truncated(at: &TopicPartition, progress: &Progress, end: Option<i64>) -> Error {
    // Without an epoch of ours there was nothing to validate.
    let epoch = progress.leader_epoch.map_or(-1, |last| last.epoch);
    Error::LogTruncated { partition: at.clone(), offset: progress.next, epoch, end: LogEnd(end) }
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
