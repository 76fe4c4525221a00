//! A batch, decoded and then judged.

use std::ops::Range;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use crate::alert::Alert;
use crate::dead_letter::{DeadLetter, ReasonClass};
use crate::error::PipelineError;
use crate::offset::{LeaderEpoch, Offsets, Span, TopicPartition};
use crate::raw::RawBatch;

/// A record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in [`RawBatch::records`].
    pub record_idx: usize,
    pub class: ReasonClass,
    /// For people; never contains a value of the record.
    pub reason: String,
}

/// A raw batch and the columns that were made of it.
#[derive(Debug)]
pub struct Batch {
    /// The records, kept until the chain has judged: a dead letter holds the record as it arrived.
    pub raw: RawBatch,
    /// One row for each record that decoded; the columns of [`crate::schema::decoded`].
    pub columns: RecordBatch,
    /// For each row its place in [`RawBatch::records`], ascending.
    pub record_of_row: Vec<u32>,
    pub rejected: Vec<Rejected>,
}

/// A batch after the chain.
#[derive(Debug)]
pub struct Judged {
    /// The topic that every row came from.
    pub topic: Arc<str>,
    /// The rows to store; columns of the table, and those that transforms added.
    pub rows: RecordBatch,
    /// What the batch covers, dead letters included.
    pub covered: Offsets,
    pub dead_letters: Vec<DeadLetter>,
    pub alerts: Vec<Alert>,
}

impl Judged {
    /// Adds the part of the same batch that follows this one.
    pub fn append(&mut self, next: Self) -> Result<(), crate::Error> {
        self.covered.extend(&next.covered).map_err(PipelineError::Gap)?;
        if self.rows.num_rows() == 0 {
            self.rows = next.rows;
        } else if next.rows.num_rows() > 0 {
            let rows = concat_batches(&self.rows.schema(), [&self.rows, &next.rows]);
            self.rows = rows.map_err(PipelineError::Join)?;
        }
        self.dead_letters.extend(next.dead_letters);
        self.alerts.extend(next.alerts);
        Ok(())
    }
}

/// A batch of which the first records may be judged already. The others are not covered by any epoch yet: a
/// run that ends now reads them again.
// Invariant: `n_done` is at most the number of records.
#[derive(Debug)]
pub struct Remaining {
    batch: Batch,
    n_done: usize,
}

impl From<Batch> for Remaining {
    fn from(batch: Batch) -> Self {
        Self { batch, n_done: 0 }
    }
}

impl Remaining {
    /// The whole batch, with the records that are done.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The batch, of which the caller judges every record.
    pub fn into_batch(self) -> Batch {
        self.batch
    }

    /// Records that are not judged.
    pub fn n_records(&self) -> usize {
        self.batch.raw.records.len() - self.n_done
    }

    /// The next records with at most `n_rows` rows among them.
    pub fn next_part(&self, n_rows: usize) -> NextPart {
        let record_of_row = &self.batch.record_of_row;
        let first_row = record_of_row.partition_point(|idx| (*idx as usize) < self.n_done);
        let end_row = first_row.saturating_add(n_rows.max(1)).min(record_of_row.len());
        let n_records = self.batch.raw.records.len();
        let end = record_of_row.get(end_row).map_or(n_records, |idx| *idx as usize);
        NextPart { records: self.n_done..end, rows: first_row..end_row, is_last: end == n_records }
    }

    /// Marks the records of a part as judged.
    pub fn finish(&mut self, part: &NextPart) {
        self.n_done = part.records.end.clamp(self.n_done, self.batch.raw.records.len());
    }

    /// What a part covers: for each partition up to its last record in the part, and to the end of the span
    /// with the last part.
    pub fn covered(&self, part: &NextPart) -> Result<Offsets, crate::Error> {
        let raw = &self.batch.raw;
        if part.records.start == 0 && part.is_last {
            return Ok(raw.covered.clone());
        }
        let mut covered = Offsets::default();
        for (at, whole) in raw.covered.iter() {
            let span = self.span_of(part, at, whole);
            // A partition without a record in this part is covered by another one.
            if span.records > 0 || span.next > span.start {
                covered.cover(at.clone(), span).map_err(PipelineError::Gap)?;
            }
        }
        Ok(covered)
    }

    fn span_of(&self, part: &NextPart, at: &TopicPartition, whole: &Span) -> Span {
        let raw = &self.batch.raw;
        let ends = |records: Range<usize>| {
            let records = raw.records.get(records).unwrap_or_default().iter();
            records.filter(|record| record.partition == at.partition)
        };
        let before = ends(0..part.records.start).next_back();
        let start = before.map_or(whole.start, |record| record.offset + 1);
        let last = ends(part.records.clone()).next_back();
        let next = match last {
            _ if part.is_last => whole.next,
            Some(last) => last.offset + 1,
            None => start,
        };
        let records = ends(part.records.clone()).count() as u64;
        // The log of the leader that wrote the last record of the span holds the records before it, too.
        let leader_epoch = match (whole.leader_epoch, last) {
            (epoch, _) if part.is_last => epoch,
            (Some(epoch), Some(last)) => Some(LeaderEpoch { end: last.offset + 1, ..epoch }),
            _ => None,
        };
        Span { start, next, records, leader_epoch }
    }
}

/// The next records of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextPart {
    /// Their places in [`RawBatch::records`].
    pub records: Range<usize>,
    /// The rows that were made of them.
    pub rows: Range<usize>,
    /// Whether no record of the batch follows.
    pub is_last: bool,
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    /// Records of two partitions, of which the third did not decode; offsets have holes.
    fn batch() -> Batch {
        let topic: Arc<str> = Arc::from("t");
        let mut raw = RawBatch::empty(Arc::clone(&topic));
        for (partition, offset) in [(0, 10), (1, 5), (0, 12), (0, 13), (1, 9)] {
            raw.push(partition, offset, None, b"x");
        }
        let epoch = Some(LeaderEpoch { epoch: 4, end: 14 });
        for (partition, start, next, records) in [(0, 8, 15, 3), (1, 5, 10, 2), (2, 0, 3, 0)] {
            let leader_epoch = epoch.filter(|_| partition == 0);
            let span = Span { start, next, records, leader_epoch };
            raw.covered.cover(TopicPartition::new(&topic, partition), span).unwrap();
        }
        let numbers = Arc::new(Int64Array::from(vec![10, 5, 13, 9])) as ArrayRef;
        let columns = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let reason = "no JSON".to_owned();
        let rejected = vec![Rejected { record_idx: 2, class: ReasonClass::InvalidJson, reason }];
        Batch { raw, columns, record_of_row: vec![0, 1, 3, 4], rejected }
    }

    #[test]
    fn the_parts_of_a_batch_cover_it_once() {
        for n_rows in 0..6 {
            let mut remaining = Remaining::from(batch());
            let (mut covered, mut rows, mut records) = (Offsets::default(), Vec::new(), Vec::new());
            loop {
                let part = remaining.next_part(n_rows);
                assert!(part.rows.len() <= n_rows.max(1));
                // `extend` fails if a part does not follow the one before it.
                covered.extend(&remaining.covered(&part).unwrap()).unwrap();
                rows.extend(part.rows.clone());
                records.extend(part.records.clone());
                remaining.finish(&part);
                if part.is_last {
                    break;
                }
            }
            assert_eq!(covered, batch().raw.covered, "{n_rows} rows at a time");
            assert_eq!((rows, records), ((0..4).collect(), (0..5).collect()));
            assert_eq!(remaining.n_records(), 0);
        }
    }

    #[test]
    fn a_part_ends_where_its_records_end() {
        let mut remaining = Remaining::from(batch());
        let part = remaining.next_part(2);
        // The record that did not decode comes before the third row.
        assert_eq!((part.records.clone(), part.rows.clone()), (0..3, 0..2));
        let covered = remaining.covered(&part).unwrap();
        let topic: Arc<str> = Arc::from("t");
        let of = |partition| covered.get(&TopicPartition::new(&topic, partition)).copied();
        let leader_epoch = Some(LeaderEpoch { epoch: 4, end: 13 });
        assert_eq!(of(0), Some(Span { start: 8, next: 13, records: 2, leader_epoch }));
        assert_eq!(of(1), Some(Span { start: 5, next: 6, records: 1, leader_epoch: None }));
        assert_eq!(of(2), None);
        remaining.finish(&part);
        assert_eq!(remaining.n_records(), 2);
    }

    #[test]
    fn a_batch_without_rows_is_one_part() {
        let Batch { mut raw, columns, .. } = batch();
        raw.records.clear();
        let columns = columns.slice(0, 0);
        let empty = Batch { raw, columns, record_of_row: Vec::new(), rejected: Vec::new() };
        let remaining = Remaining::from(empty);
        let part = remaining.next_part(1);
        assert!(part.is_last && part.records.is_empty());
        assert_eq!(remaining.covered(&part).unwrap(), batch().raw.covered);
    }

    #[test]
    fn judged_parts_become_one() {
        let part = |numbers: Vec<i64>, start: i64, next: i64| {
            let mut covered = Offsets::default();
            let records = (next - start) as u64;
            let at = TopicPartition::new(&Arc::from("t"), 0);
            covered.cover(at, Span { start, next, records, leader_epoch: None }).unwrap();
            let numbers = Arc::new(Int64Array::from(numbers)) as ArrayRef;
            Judged {
                topic: Arc::from("t"),
                rows: RecordBatch::try_from_iter([("n", numbers)]).unwrap(),
                covered,
                dead_letters: Vec::new(),
                alerts: Vec::new(),
            }
        };
        let mut whole = part(vec![], 0, 1);
        whole.append(part(vec![1], 1, 2)).unwrap();
        whole.append(part(vec![], 2, 3)).unwrap();
        whole.append(part(vec![3], 3, 4)).unwrap();
        assert_eq!((whole.rows.num_rows(), whole.covered.n_records()), (2, 4));
        assert_eq!(whole.append(part(vec![9], 9, 10)).unwrap_err().code(), "AH-0051");
    }
}
