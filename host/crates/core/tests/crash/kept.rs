//! What survives a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use audit_core::{Alert, Outbox, TopicPartition};

/// Which instance may commit, and how often somebody has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Lane {
    pub(crate) instance: u64,
    pub(crate) sequence: u64,
}

impl Lane {
    pub(crate) fn raised(self) -> Self {
        Self { sequence: self.sequence + 1, ..self }
    }
}

/// What survives a crash.
#[derive(Default)]
pub(crate) struct Kept {
    /// Raised by each update: an update names the version that it was made of.
    pub(crate) version: u64,
    pub(crate) lane: Lane,
    pub(crate) rows: Vec<i64>,
    pub(crate) offsets: BTreeMap<TopicPartition, i64>,
    pub(crate) state: Option<u64>,
    /// By the sequence of their commits.
    pub(crate) pending: BTreeMap<u64, Outbox>,
    /// Sequence and alerts of each committed epoch.
    pub(crate) committed: BTreeMap<String, (u64, Vec<Alert>)>,
    pub(crate) dead_letters: Vec<String>,
    /// The sequence of the newest epoch whose dead letters were appended.
    pub(crate) done: u64,
    /// Objects in the warehouse, and those of them that nothing names any more.
    pub(crate) objects: BTreeSet<String>,
    pub(crate) garbage: BTreeSet<String>,
    pub(crate) delivered: Vec<Alert>,
    pub(crate) acknowledged: BTreeMap<TopicPartition, i64>,
}

impl Kept {
    /// Forgets outboxes that are done; what held them is garbage then.
    pub(crate) fn forget(&mut self, finished: &[Outbox]) {
        self.pending.retain(|_, outbox| !is_named(outbox, finished));
        self.garbage.extend(finished.iter().filter_map(|outbox| outbox.location.clone()));
    }

    /// Whatever the table names must be there.
    pub(crate) fn check_objects(&self) {
        let outboxes = self.pending.values().filter_map(|outbox| outbox.location.clone());
        for object in outboxes.chain(self.state.map(state_object)) {
            assert!(self.objects.contains(&object), "{object} is named, but was removed");
        }
    }
}

fn is_named(outbox: &Outbox, of: &[Outbox]) -> bool {
    of.iter().any(|one| one.epoch_id == outbox.epoch_id)
}

pub(crate) fn state_object(state: u64) -> String {
    format!("state/{state:016x}")
}

pub(crate) type Change = Arc<dyn Fn(&mut Kept) + Send + Sync>;

/// An update on its way, with the version that it was made of.
pub(crate) type Late = (u64, Change);
