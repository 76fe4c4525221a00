//! A batch, decoded and then judged.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use crate::alert::Alert;
use crate::dead_letter::{DeadLetter, ReasonClass};
use crate::offset::Offsets;
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
    /// For each row its place in [`RawBatch::records`].
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
