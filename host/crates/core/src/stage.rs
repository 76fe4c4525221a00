//! The stages of the flow, in its order. Each is boxed where the program wires them together, so that
//! the pipeline is compiled once and a test can put any part in a stage's place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use crate::alert::Alert;
use crate::batch::{Batch, Judged, Remaining};
use crate::change::{Change, Changes};
use crate::dead_letter::DeadLetter;
use crate::epoch::{Epoch, Outbox, Staged};
use crate::error::Error;
use crate::offset::Offsets;
use crate::plugin::{PluginId, PluginState};
use crate::raw::RawBatch;

/// The outcome of a poll.
#[derive(Debug)]
pub enum Polled {
    /// Records: read on.
    Batch(RawBatch),
    /// No record within the time given: poll again.
    Idle,
    /// There will be no more: finish the epoch and stop.
    Ended,
}

/// Where records come from. Starts at the offsets that the table holds.
pub trait Source: Send {
    /// The next records, waiting for at most `max_wait`. An error ends the run.
    fn poll(&mut self, max_wait: Duration) -> Result<Polled, Error>;
}

/// Bytes to columns. A record that cannot be decoded is a [`crate::Rejected`], never an error.
pub trait Decoder: Send {
    fn decode(&mut self, raw: RawBatch) -> Result<Batch, Error>;
}

/// How far a batch has come.
#[derive(Debug)]
pub struct Progress {
    /// What was judged by this call.
    pub judged: Option<Judged>,
    /// The batch, if records of it are left. No other batch may be judged before it.
    pub rest: Option<Remaining>,
    /// When to go on: a plugin that fails on everything is given time to recover.
    pub wait: Duration,
}

/// The plugins in their order.
pub trait Chain: Send {
    /// Applies the commands that the chain received since the last call, and returns the outcome. Called
    /// between two batches, and from time to time while there is none.
    fn take_changes(&mut self) -> Changes {
        Changes::default()
    }

    /// Returns what happened since the last call, such as failures of plugins, without applying any command.
    fn drain_events(&mut self) -> Changes {
        Changes::default()
    }

    /// Runs a batch through every plugin, however long that takes. A row that a plugin cannot judge becomes a dead
    /// letter; an error ends the run.
    fn judge(&mut self, batch: Batch) -> Result<Judged, Error>;

    /// The same for the next records of a batch, as many as can be judged soon. Between two calls the epoch may
    /// end and the chain may change: nothing has seen a record that is not among those returned.
    fn judge_some(&mut self, remaining: Remaining) -> Result<Progress, Error> {
        let judged = Some(self.judge(remaining.into_batch())?);
        Ok(Progress { judged, rest: None, wait: Duration::ZERO })
    }

    /// The state of every detector as it is now.
    fn snapshot(&mut self) -> Result<Vec<PluginState>, Error>;

    /// The plugins as they are now, in their order.
    fn plugins(&self) -> Vec<PluginId>;

    /// The tables and calendars as they are now: SHA-256 in hex, by name.
    fn lookups(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// Rows to files that no table refers to yet.
pub trait Writer: Send {
    /// Adds rows of one topic to the open epoch.
    fn write(&mut self, topic: &Arc<str>, rows: RecordBatch) -> Result<(), Error>;

    /// Adds dead letters to the open epoch.
    fn write_dead_letters(&mut self, letters: Vec<DeadLetter>) -> Result<(), Error>;

    /// Adds changes of the chain to the open epoch, as rows that come from no record.
    fn write_changes(&mut self, changes: &[Change]) -> Result<(), Error>;

    /// Whether the epoch should end early because its bytes or files are too many.
    fn is_full(&self) -> bool;

    /// Closes the epoch's files and starts the next epoch.
    fn seal(&mut self) -> Result<Staged, Error>;
}

/// The table and the outbox beside it.
#[async_trait]
pub trait Table: Send {
    /// Outboxes of epochs that were committed and not finished, oldest first.
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, Error>;

    /// Stores what must be done after the commit. Nothing is visible yet.
    async fn stage(&mut self, epoch: &Epoch) -> Result<Outbox, Error>;

    /// Makes rows, offsets and the pointer to the outbox visible in one step. After an error the epoch
    /// either never happened or is found by [`Table::unfinished`].
    async fn commit(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), Error>;

    /// Appends the outbox's dead letters to their table, unless they are already there.
    async fn append_dead_letters(&mut self, outbox: &Outbox) -> Result<(), Error>;

    /// Everything in the outbox is done: the next commit may remove it.
    fn finish(&mut self, outbox: Outbox);

    /// Removes finished outboxes now, by a commit of its own: once in a quiet time.
    async fn forget_finished(&mut self) -> Result<(), Error>;

    /// A bounded step of what keeps the table small. Called after each settled epoch and in quiet times, and not
    /// while an epoch waits, unless that happens many times in a row. An error ends the run; the next start goes on.
    async fn maintain(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The run ends in order: removes finished outboxes, and lets the next instance begin without waiting.
    async fn close(&mut self) -> Result<(), Error> {
        self.forget_finished().await
    }
}

/// Where alerts are delivered.
#[async_trait]
pub trait AlertSink: Send {
    /// Delivers all or fails. May be called again with the same alerts: receivers recognize them by id.
    async fn deliver(&mut self, alerts: &[Alert]) -> Result<(), Error>;
}

/// Commits offsets to the source's broker. Only for tools that show lag: after a restart the offsets in the
/// table decide.
#[async_trait]
pub trait Acknowledge: Send {
    async fn acknowledge(&mut self, covered: &Offsets) -> Result<(), Error>;
}
