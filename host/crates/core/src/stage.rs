//! The stages of the flow, in its order. Each is boxed where the program wires them together, so that
//! the pipeline is compiled once and a test can put any part in a stage's place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use crate::alert::Alert;
use crate::batch::{Batch, Judged};
use crate::change::{Changes, PluginChange};
use crate::dead_letter::DeadLetter;
use crate::epoch::{Epoch, Outbox, Staged};
use crate::error::Error;
use crate::offset::Offsets;
use crate::plugin::{PluginId, PluginState};
use crate::raw::RawBatch;

/// What a source has to say.
#[derive(Debug)]
pub enum Polled {
    /// Records: read on.
    Batch(RawBatch),
    /// None within the time given: ask again.
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

/// The plugins in their order.
pub trait Chain: Send {
    /// Carries out what was asked of the chain since the last call, between two batches, and says what
    /// came of it. Called before every batch, and now and then when there is none.
    fn take_changes(&mut self) -> Changes {
        Changes::default()
    }

    /// What came of the chain by itself since the last call, as a plugin that failed: nothing that was asked
    /// is carried out.
    fn drain_events(&mut self) -> Changes {
        Changes::default()
    }

    /// Takes a batch through every plugin. A row that a plugin cannot judge is a dead letter; an error
    /// ends the run.
    fn judge(&mut self, batch: Batch) -> Result<Judged, Error>;

    /// What every detector remembers now, if anything changed since it was last asked.
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

    /// Adds to the open epoch what happened to the chain: rows that come from no record.
    fn write_changes(&mut self, changes: &[PluginChange]) -> Result<(), Error>;

    /// Whether the epoch should end now because too much is open, whatever its time.
    fn is_full(&self) -> bool;

    /// Closes the epoch's files and starts the next epoch.
    fn seal(&mut self) -> Result<Staged, Error>;
}

/// The table and the outbox beside it.
#[async_trait]
pub trait Table: Send {
    /// Outboxes of epochs that were committed and not finished, oldest first.
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, Error>;

    /// Keeps what must be done after the commit. Nothing is visible yet.
    async fn stage(&mut self, epoch: &Epoch) -> Result<Outbox, Error>;

    /// Makes rows, offsets and the pointer to the outbox visible in one step. After an error the epoch
    /// either never happened or is found by [`Table::unfinished`].
    async fn commit(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), Error>;

    /// Appends the outbox's dead letters to their table; does nothing if they are there.
    async fn append_dead_letters(&mut self, outbox: &Outbox) -> Result<(), Error>;

    /// Everything of the outbox is done: it may be forgotten with the next commit.
    fn finish(&mut self, outbox: Outbox);

    /// Forgets finished outboxes now; for a quiet time, or the end.
    async fn forget_finished(&mut self) -> Result<(), Error>;
}

/// Who is told of alerts.
#[async_trait]
pub trait AlertSink: Send {
    /// Delivers all or fails. May be called again with the same alerts: receivers tell them by id.
    async fn deliver(&mut self, alerts: &[Alert]) -> Result<(), Error>;
}

/// Tells the source's broker how far the table is. Only for tools that show lag: after a restart the
/// table decides.
#[async_trait]
pub trait Acknowledge: Send {
    async fn acknowledge(&mut self, covered: &Offsets) -> Result<(), Error>;
}
