//! What one commit covers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alert::Alert;
use crate::change::Change;
use crate::offset::Offsets;
use crate::plugin::{PluginId, PluginState};

/// When an epoch ends, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Time since the epoch's first row.
    pub interval: Duration,
    /// Rows and dead letters. Bounds the work that a crash repeats and the memory of open files.
    pub rows_max: u64,
}

/// Files written for an epoch and not yet part of any table. The descriptors are opaque to every crate but the
/// sink.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// Names the epoch in file names, snapshot and outbox. Unique.
    pub epoch_id: String,
    pub data_files: Vec<String>,
    pub dead_letter_files: Vec<String>,
    pub n_rows: u64,
    pub n_dead_letters: u64,
    /// Where one of the rows is found, if there are any; opaque as well.
    pub witness: Option<String>,
}

/// A whole epoch, ready to be committed.
#[derive(Debug)]
pub struct Epoch {
    pub staged: Staged,
    pub covered: Offsets,
    pub alerts: Vec<Alert>,
    /// The chain when the epoch began.
    pub plugins: Vec<PluginId>,
    /// The tables and calendars that plugins could look things up in when the epoch began: SHA-256 in
    /// hex, by name.
    pub lookups: BTreeMap<String, String>,
    /// What changed in the chain since, in order.
    pub changes: Vec<Change>,
    pub states: Vec<PluginState>,
}

/// What is left to do for a committed epoch: stored outside the table until it is done, so that the next start
/// can finish it after a crash.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub epoch_id: String,
    /// Where the outbox is stored; `None` when there was nothing to store.
    pub location: Option<String>,
    pub dead_letter_files: Vec<String>,
    pub covered: Offsets,
    pub alerts: Vec<Alert>,
}
