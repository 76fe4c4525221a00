//! A batch on its way: decoded, then judged.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::dead_letter::{DeadLetter, ReasonClass};
use crate::offset::{Offsets, TopicPartition};
use crate::raw::RawBatch;

/// A record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in [`RawBatch::records`].
    pub record_idx: usize,
    pub class: ReasonClass,
    /// For a person; never holds a value of the record.
    pub reason: String,
}

/// A raw batch and the columns that were made of it.
#[derive(Debug)]
pub struct Batch {
    /// The records, kept until the chain has judged: a quarantined row is stored as it came.
    pub raw: RawBatch,
    /// One row for each record that decoded; the columns of [`crate::schema::decoded`].
    pub columns: RecordBatch,
    /// For each row its place in [`RawBatch::records`].
    pub record_of_row: Vec<u32>,
    pub rejected: Vec<Rejected>,
}

/// A plugin as it ran: enough to fetch the same bytes and the same configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginId {
    pub name: String,
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// SHA-256 of the configuration's JSON, in hex.
    pub config_sha256: String,
}

/// What a detector remembers, at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginState {
    pub plugin: PluginId,
    /// The one partition that fed it; `None` where all partitions feed one state.
    pub partition: Option<TopicPartition>,
    pub state_version: u32,
    pub bytes: Vec<u8>,
}

/// A batch after the chain.
#[derive(Debug)]
pub struct Judged {
    /// The topic that every row came from.
    pub topic: Arc<str>,
    /// The rows to store; columns of the table, and those that transforms added.
    pub rows: RecordBatch,
    /// What the batch covers, whatever became of its records.
    pub covered: Offsets,
    pub dead_letters: Vec<DeadLetter>,
    pub alerts: Vec<Alert>,
}
