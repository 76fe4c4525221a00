//! How far each partition has been read. These positions are our own: librdkafka's may run ahead of what was read
//! (at the end of a partition it counts one record too many, and starts there after a pause or with another leader),
//! and it does not validate an offset that it is given.

use std::time::Instant;

use audit_core::{LeaderEpoch, Span, TopicPartition};
use rdkafka::{Offset, TopicPartitionList};

use crate::assignment::StartAt;
use crate::error::Error;
use crate::ffi::set_leader_epoch;

/// How often librdkafka may report that our position is lost before a seek to it is done: what it reports then may
/// concern a position of its own.
const LOSSES_MAX: u32 = 3;

/// How far the next message of a partition can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// What follows `next` without a jump, and from the same leader.
    Running,
    /// librdkafka was told to go to `next`; whatever comes first is what the log holds there.
    Sought,
    /// Nothing: librdkafka must first go to `next`, and validate the leader epoch if there is one.
    Doubted(Instant),
}

/// How far one partition has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The offset up to which everything is covered.
    pub(crate) next: i64,
    /// Where the partition ended when it was assigned.
    end: i64,
    /// Whether the broker reported the end of the partition.
    at_end: bool,
    /// Of the last record, if it is known.
    pub(crate) leader_epoch: Option<LeaderEpoch>,
    pub(crate) trust: Trust,
    /// Reports of a lost position since the last record.
    n_losses: u32,
}

impl Progress {
    pub(crate) fn new(start: &StartAt) -> Self {
        let (next, leader_epoch) = (start.fetch_from, start.leader_epoch);
        let at_end = leader_epoch.is_none() && next >= start.end;
        let trust = Trust::Sought;
        let mut progress = Self { next, end: start.end, at_end, leader_epoch, trust, n_losses: 0 };
        progress.assigned();
        progress
    }

    /// librdkafka starts at our position. Only a seek validates the leader epoch.
    pub(crate) fn assigned(&mut self) {
        let validate = self.leader_epoch.is_some();
        self.trust = if validate { Trust::Doubted(Instant::now()) } else { Trust::Sought };
    }

    pub(crate) fn doubt(&mut self) {
        self.trust = Trust::Doubted(Instant::now());
    }

    /// librdkafka reports that its position does not exist. Whether it must first be sent to ours, with a new
    /// assignment, because it has given up the partition.
    pub(crate) fn doubt_loss(&mut self) -> bool {
        self.n_losses += 1;
        let must_confirm = self.trust != Trust::Sought && self.n_losses < LOSSES_MAX;
        if must_confirm {
            self.doubt();
        }
        must_confirm
    }

    /// The log is valid, but the place of the last record is deleted: holes follow it, and `next` may still exist.
    /// Whether to try that.
    pub(crate) fn skip_holes(&mut self) -> bool {
        let skips = self.trust == Trust::Sought && self.position() < self.next;
        if skips {
            self.leader_epoch = None;
            self.doubt();
        }
        skips
    }

    /// Whether the end was reported, and nothing came after it.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end && !self.is_doubted()
    }

    pub(crate) fn is_doubted(&self) -> bool {
        matches!(self.trust, Trust::Doubted(_))
    }

    /// Where librdkafka must go: behind the last record, where its leader's log must still reach. The offsets from
    /// there to `next` hold no record.
    fn position(&self) -> i64 {
        self.leader_epoch.map_or(self.next, |last| last.end.min(self.next))
    }

    /// Whether a record or the end of the partition may come from a place where we have not sent librdkafka: after the
    /// end was reported something is left out, or another leader wrote the record.
    pub(crate) fn is_odd(&self, offset: i64, leader_epoch: Option<i32>) -> bool {
        let jumps = self.at_end && offset > self.next;
        let other_leader = self
            .leader_epoch
            .zip(leader_epoch)
            .is_some_and(|(last, leader_epoch)| last.epoch != leader_epoch);
        self.trust == Trust::Running && (jumps || other_leader)
    }

    /// Covers everything before `next`, the offset after a record.
    pub(crate) fn cover_record(&mut self, next: i64, leader_epoch: Option<i32>) -> Span {
        let leader_epoch = leader_epoch.map(|epoch| LeaderEpoch { epoch, end: next });
        self.at_end = false;
        self.leader_epoch = leader_epoch.or(self.leader_epoch);
        self.cover(next, Span { start: self.next, next, records: 1, leader_epoch })
    }

    /// Covers everything before `next`, where the partition ends: holes, if anything.
    pub(crate) fn cover_end(&mut self, next: i64) -> Span {
        self.at_end = true;
        self.cover(next, Span { start: self.next, next, records: 0, leader_epoch: None })
    }

    fn cover(&mut self, next: i64, span: Span) -> Span {
        self.next = next;
        (self.trust, self.n_losses) = (Trust::Running, 0);
        span
    }

    /// Whether everything up to the end at the start is read, or everything that there is.
    pub(crate) fn has_ended(&self) -> bool {
        let is_valid = self.trust == Trust::Running || self.leader_epoch.is_none();
        is_valid && !self.is_doubted() && (self.at_end || self.next >= self.end)
    }
}

/// Partitions and our positions in the form of librdkafka.
pub(crate) fn to_list<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, &'a Progress)>,
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for (partition, progress) in partitions {
        let position = Offset::Offset(progress.position());
        list.add_partition_offset(&partition.topic, partition.partition, position)
            .map_err(|cause| Error::Assign { n_partitions: 1, cause })?;
        if let Some(last) = progress.leader_epoch {
            set_leader_epoch(&mut list, partition, last.epoch);
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64, leader_epoch: Option<LeaderEpoch>) -> Progress {
        Progress::new(&StartAt { next, fetch_from: next, end: next, leader_epoch })
    }

    #[test]
    fn a_jump_counts_only_after_the_end_was_reported() {
        let mut progress = at(0, None);
        progress.cover_record(5, None);
        assert!(!progress.is_odd(7, None), "a hole between two records");
        progress.cover_end(5);
        assert!(!progress.is_odd(5, None));
        assert!(progress.is_odd(6, None), "librdkafka would leave out the record at 5");
        progress.assigned();
        assert!(!progress.is_odd(6, None), "the log holds nothing at 5");
    }

    #[test]
    fn another_leader_is_believed_only_after_its_log_was_validated() {
        let mut progress = at(0, None);
        progress.cover_record(5, Some(3));
        assert!(!progress.is_odd(5, Some(3)));
        assert!(progress.is_odd(5, Some(4)) && progress.is_odd(5, Some(2)));
        progress.doubt();
        assert!(progress.is_doubted() && !progress.has_ended());
        progress.trust = Trust::Sought;
        assert!(!progress.is_odd(5, Some(4)));
        assert!(!progress.has_ended(), "nothing came that shows the validation's result");
        progress.cover_record(6, Some(4));
        assert!(progress.has_ended());
    }

    #[test]
    fn a_position_lies_behind_the_last_record_not_behind_the_holes_after_it() {
        let mut progress = at(0, None);
        progress.cover_record(5, Some(3));
        // The end of a transaction, perhaps of a later leader.
        let hole = progress.cover_end(7);
        assert_eq!((hole.holes(), hole.leader_epoch), (2, None));
        assert_eq!((progress.next, progress.position()), (7, 5));
        progress.trust = Trust::Sought;
        assert!(progress.skip_holes() && progress.position() == 7, "5 was deleted, 7 may exist");
        progress.trust = Trust::Sought;
        assert!(!progress.skip_holes(), "7 was deleted too");
    }
}
