//! THE loop. Every piece of work of audit-host starts here.
//!
//! Four stages overlap through bounded channels: *read* (poll and decode), *judge* (the plugins, and the
//! decision when an epoch ends), *write* (rows to files) and *settle* (commit, then dead letters and
//! alerts, then acknowledgement). The first three block and have threads of their own; settling is I/O
//! and stays on the runtime. While epoch N settles, epoch N+1 is read.
//!
//! Where a plugin fails on rows, a batch is judged in parts, and the source waits. Between two parts epochs end, the
//! chain changes, and a stop is obeyed.
//!
//! Order is the guarantee: an epoch is committed in one step; only then are its dead letters appended, its alerts
//! delivered and its offsets acknowledged. A crash before the commit repeats the epoch from the table's
//! offsets; a crash after it leaves an outbox that the next start empties. So rows arrive exactly once, and
//! alerts at least once under an id that does not change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::batch::{Batch, Judged};
use crate::change::Changes;
use crate::counters::Counters;
use crate::epoch::{Budget, Epoch, Outbox};
use crate::error::{Error, PipelineError};
use crate::fail_point::reach;
use crate::offset::Offsets;
use crate::plugin::{PluginId, PluginState};
use crate::stage::{Acknowledge, AlertSink, Chain, Decoder, Polled, Source, Table, Writer};
use crate::text::one_line;

mod queue;

use queue::{Next, Queue};

/// Batches between two stages: enough that neither waits for the other's jitter, few enough that a
/// slow table does not fill the memory (a batch is at most some MiB).
const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// Sealed epochs that wait for the one before to settle. More would only repeat more after a crash.
const EPOCHS_IN_FLIGHT_MAX: usize = 1;

/// Alerts of one epoch: bounds the outbox. A detector that raises so many is broken, or under attack.
const ALERTS_PER_EPOCH_MAX: usize = 10_000;

/// How soon a stop is noticed while no record arrives.
const POLL_WAIT: Duration = Duration::from_millis(100);

/// How soon a change of the chain is applied while no record arrives.
const CHANGES_WAIT: Duration = Duration::from_millis(100);

/// After this long without an epoch the markers of finished epochs are removed from the table. Also how often the
/// table is maintained while there is nothing else to do.
const QUIET: Duration = Duration::from_secs(10);

/// An epoch that waits goes before maintenance, but only so many times in a row: commits that never pause are what
/// makes a table large.
const MAINTENANCE_PUT_OFF_MAX: u32 = 8;

/// Every part of the flow.
pub struct Stages {
    pub source: Box<dyn Source>,
    pub decoder: Box<dyn Decoder>,
    pub chain: Box<dyn Chain>,
    pub writer: Box<dyn Writer>,
    pub table: Box<dyn Table>,
    pub alerts: Box<dyn AlertSink>,
    pub acks: Box<dyn Acknowledge>,
}

/// Set to end the run after the open epoch: Ctrl-C, `--duration`.
pub type Stop = Arc<AtomicBool>;

/// Runs until the source ends or `stop` is set, finishing the open epoch; or until a stage fails.
pub async fn run(
    stages: Stages,
    budget: Budget,
    stop: Stop,
    counters: Arc<Counters>,
) -> Result<(), Error> {
    let Stages { source, decoder, chain, writer, table, alerts, acks } = stages;
    let mut settler = Settler::new(table, alerts, acks, Arc::clone(&counters));
    settler.recover_pending().await?;

    let (batches_in, batches) = sync_channel(BATCHES_IN_FLIGHT_MAX);
    let (steps_in, steps) = sync_channel(BATCHES_IN_FLIGHT_MAX);
    let (epochs_in, epochs) = mpsc::channel(EPOCHS_IN_FLIGHT_MAX);
    let full = Arc::new(AtomicBool::new(false));
    let writer_full = Arc::clone(&full);

    let stopped = Arc::clone(&stop);
    let judge_stopped = Arc::clone(&stop);
    let threads = [
        spawn(&stop, move || read(source, decoder, &stopped, &counters, &batches_in)),
        spawn(&stop, move || judge(chain, budget, &full, &judge_stopped, &batches, &steps_in)),
        spawn(&stop, move || write(writer, &writer_full, &steps, &epochs_in)),
    ];
    let settled = settler.settle(epochs).await;
    let mut failures: Vec<_> = settled.err().map(Failure::now).into_iter().collect();
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        failures.extend(joined(thread).await.err());
    }
    first_of(failures)
}

/// An error that ended a stage.
struct Failure {
    since: Instant,
    error: Error,
}

impl Failure {
    fn now(error: Error) -> Self {
        Self { since: Instant::now(), error }
    }
}

/// A stage that fails drops its channels, which ends its neighbors without an error of their own: so the first
/// error is the cause. Another one is of a stage that failed by itself before it noticed.
fn first_of(mut failures: Vec<Failure>) -> Result<(), Error> {
    failures.sort_by_key(|failure| failure.since);
    let mut failures = failures.into_iter().map(|failure| failure.error);
    let Some(first) = failures.next() else { return Ok(()) };
    for other in failures {
        tracing::error!(code = other.code(), error = one_line(&other), "another stage failed, too");
    }
    Err(first)
}

/// Runs a stage on a thread of its own. One that fails stops the others: otherwise a run whose table failed would
/// wait forever for the next record of a quiet topic. A source that has ended stops nothing: what it read is
/// still to be judged, even where that must wait for a plugin.
fn spawn(
    stop: &Stop,
    stage: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> JoinHandle<Result<(), Failure>> {
    let stop = Arc::clone(stop);
    tokio::task::spawn_blocking(move || {
        let ended = stage().map_err(Failure::now);
        if ended.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        ended
    })
}

async fn joined(thread: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    match thread.await {
        Ok(ended) => ended,
        Err(panicked) => Err(Failure::now(PipelineError::Panicked(panicked).into())),
    }
}

/// Polls and decodes until the source ends, `stop` is set, or the next stage has ended.
fn read(
    mut source: Box<dyn Source>,
    mut decoder: Box<dyn Decoder>,
    stop: &AtomicBool,
    counters: &Counters,
    batches: &SyncSender<Batch>,
) -> Result<(), Error> {
    while !stop.load(Ordering::Relaxed) {
        match source.poll(POLL_WAIT)? {
            Polled::Batch(raw) => {
                Counters::add(&counters.records_read, raw.records.len() as u64);
                Counters::add(&counters.bytes_read, raw.bytes.len() as u64);
                let batch = decoder.decode(raw)?;
                if batches.send(batch).is_err() {
                    return Ok(());
                }
            }
            Polled::Idle => {}
            Polled::Ended => return Ok(()),
        }
    }
    Ok(())
}

/// What the judge sends to the writer.
enum Step {
    Write(Judged),
    /// The chain changed before the next batch.
    Changed(Changes),
    /// The epoch ends after the previous batch.
    Cut {
        header: EpochHeader,
        states: Vec<PluginState>,
    },
}

/// Takes batches through the plugins and decides where an epoch ends. Decided here and not in the
/// writer, because a detector's state must be taken right after the epoch's last record.
fn judge(
    mut chain: Box<dyn Chain>,
    budget: Budget,
    full: &AtomicBool,
    stop: &AtomicBool,
    batches: &Receiver<Batch>,
    steps: &SyncSender<Step>,
) -> Result<(), Error> {
    let mut epoch: Option<OpenEpoch> = None;
    let mut queue = Queue::new(batches);
    loop {
        let wait = epoch.as_ref().map_or(budget.interval, |open| open.time_left(&budget));
        let next = queue.next(wait.min(CHANGES_WAIT), stop);
        // The epoch names the chain that it began with, so it begins before anything changes.
        let header =
            if epoch.is_none() { EpochHeader::of(&*chain) } else { EpochHeader::default() };
        let changes = chain.take_changes();
        if !changes.is_empty() {
            epoch.get_or_insert_with(|| OpenEpoch::now(header.clone()));
            if steps.send(Step::Changed(changes)).is_err() {
                return Ok(());
            }
        }
        let ended = match next {
            Next::Records(remaining) => {
                let progress = chain.judge_some(remaining)?;
                queue.put_back(progress.rest, progress.wait);
                if let Some(judged) = progress.judged {
                    let open = epoch.get_or_insert_with(|| OpenEpoch::now(header));
                    open.n_records += judged.covered.n_records();
                    if steps.send(Step::Write(judged)).is_err() {
                        return Ok(());
                    }
                }
                false
            }
            Next::Nothing => false,
            Next::Ended => true,
        };
        let due = ended || full.swap(false, Ordering::Relaxed);
        let cut = epoch.take_if(|open| due || open.is_due(&budget));
        if let Some(open) = cut
            && !end_epoch(&mut *chain, open.header, steps)?
        {
            return Ok(());
        }
        if ended {
            return Ok(());
        }
    }
}

/// Ends the epoch after the record that was judged last; `false` if the writer is gone.
fn end_epoch(
    chain: &mut dyn Chain,
    header: EpochHeader,
    steps: &SyncSender<Step>,
) -> Result<bool, Error> {
    let states = chain.snapshot()?;
    // Events of the last batch and of the snapshot belong to this epoch: there may be no other.
    let events = chain.drain_events();
    if !events.is_empty() && steps.send(Step::Changed(events)).is_err() {
        return Ok(false);
    }
    Ok(steps.send(Step::Cut { header, states }).is_ok())
}

/// The chain as it was when the epoch began.
#[derive(Clone, Default)]
struct EpochHeader {
    plugins: Vec<PluginId>,
    lookups: BTreeMap<String, String>,
}

impl EpochHeader {
    fn of(chain: &dyn Chain) -> Self {
        Self { plugins: chain.plugins(), lookups: chain.lookups() }
    }
}

struct OpenEpoch {
    since: Instant,
    n_records: u64,
    header: EpochHeader,
}

impl OpenEpoch {
    fn now(header: EpochHeader) -> Self {
        Self { since: Instant::now(), n_records: 0, header }
    }

    fn time_left(&self, budget: &Budget) -> Duration {
        budget.interval.saturating_sub(self.since.elapsed())
    }

    fn is_due(&self, budget: &Budget) -> bool {
        self.n_records >= budget.rows_max || self.time_left(budget).is_zero()
    }
}

/// Writes judged batches into files and hands each sealed epoch on.
fn write(
    mut writer: Box<dyn Writer>,
    full: &AtomicBool,
    steps: &Receiver<Step>,
    epochs: &mpsc::Sender<Epoch>,
) -> Result<(), Error> {
    let mut covered = Offsets::default();
    let mut alerts = Vec::new();
    let mut changes = Vec::new();
    // Reported once an epoch: batches of the full epoch may still be on their way here.
    let mut is_reported_full = false;
    while let Ok(step) = steps.recv() {
        match step {
            Step::Write(judged) => {
                covered.extend(&judged.covered).map_err(PipelineError::Gap)?;
                alerts.extend(judged.alerts);
                writer.write_dead_letters(judged.dead_letters)?;
                writer.write(&judged.topic, judged.rows)?;
                let too_many_alerts = alerts.len() >= ALERTS_PER_EPOCH_MAX;
                if !is_reported_full && (too_many_alerts || writer.is_full()) {
                    is_reported_full = true;
                    full.store(true, Ordering::Relaxed);
                }
            }
            Step::Changed(events) => {
                writer.write_changes(&events.changes)?;
                changes.extend(events.changes);
                alerts.extend(events.alerts);
            }
            Step::Cut { header: EpochHeader { plugins, lookups }, states } => {
                is_reported_full = false;
                let epoch = Epoch {
                    staged: writer.seal()?,
                    covered: std::mem::take(&mut covered),
                    alerts: std::mem::take(&mut alerts),
                    plugins,
                    lookups,
                    changes: std::mem::take(&mut changes),
                    states,
                };
                reach("files-sealed");
                if epochs.blocking_send(epoch).is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Settles epochs in order: committed, then delivered, then acknowledged.
struct Settler {
    table: Box<dyn Table>,
    alerts: Box<dyn AlertSink>,
    acks: Box<dyn Acknowledge>,
    counters: Arc<Counters>,
    /// [`QUIET`], but in tests.
    quiet: Duration,
    /// Whether the table still names outboxes that are done.
    has_finished: bool,
    /// Epochs in a row that went before maintenance.
    n_put_off: u32,
}

impl Settler {
    fn new(
        table: Box<dyn Table>,
        alerts: Box<dyn AlertSink>,
        acks: Box<dyn Acknowledge>,
        counters: Arc<Counters>,
    ) -> Self {
        let (quiet, has_finished, n_put_off) = (QUIET, false, 0);
        Self { table, alerts, acks, counters, quiet, has_finished, n_put_off }
    }

    async fn recover_pending(&mut self) -> Result<(), Error> {
        for outbox in self.table.unfinished().await? {
            tracing::info!(
                epoch = outbox.epoch_id,
                "recovering an epoch that a crash left unfinished"
            );
            self.deliver(&outbox).await?;
            self.finish(outbox);
        }
        Ok(())
    }

    async fn settle(&mut self, mut epochs: mpsc::Receiver<Epoch>) -> Result<(), Error> {
        loop {
            match timeout(self.quiet, epochs.recv()).await {
                Ok(Some(epoch)) => {
                    self.settle_one(epoch).await?;
                    self.maintain(!epochs.is_empty()).await?;
                }
                Ok(None) => return self.table.close().await,
                Err(_) => {
                    self.forget_finished().await?;
                    self.maintain(!epochs.is_empty()).await?;
                }
            }
        }
    }

    async fn settle_one(&mut self, epoch: Epoch) -> Result<(), Error> {
        check_balance(&epoch)?;
        let outbox = self.table.stage(&epoch).await?;
        reach("stage");
        // The point of no return: before it the epoch never happened, after it the epoch is final.
        self.table.commit(&epoch, &outbox).await?;
        reach("committed");
        // The commit also removed the outboxes that were done.
        self.has_finished = false;
        Counters::add(&self.counters.rows_committed, epoch.staged.n_rows);
        Counters::add(&self.counters.dead_letters, epoch.staged.n_dead_letters);
        Counters::add(&self.counters.epochs, 1);

        self.deliver(&outbox).await?;
        self.acks.acknowledge(&epoch.covered).await?;
        reach("acknowledged");
        self.finish(outbox);
        Ok(())
    }

    /// What a commit leaves to do. May be repeated after a crash.
    async fn deliver(&mut self, outbox: &Outbox) -> Result<(), Error> {
        self.table.append_dead_letters(outbox).await?;
        reach("dead-letters-appended");
        self.alerts.deliver(&outbox.alerts).await?;
        Counters::add(&self.counters.alerts, outbox.alerts.len() as u64);
        reach("alerts-delivered");
        Ok(())
    }

    fn finish(&mut self, outbox: Outbox) {
        self.has_finished |= outbox.location.is_some();
        self.table.finish(outbox);
        reach("finished");
    }

    /// Costs a commit, so only if there is something to forget.
    async fn forget_finished(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.has_finished) {
            self.table.forget_finished().await?;
        }
        Ok(())
    }

    async fn maintain(&mut self, an_epoch_waits: bool) -> Result<(), Error> {
        if an_epoch_waits && self.n_put_off < MAINTENANCE_PUT_OFF_MAX {
            self.n_put_off += 1;
            return Ok(());
        }
        self.n_put_off = 0;
        self.table.maintain().await
    }
}

/// Every record became a row or a dead letter. The host's own rows come from no record.
fn check_balance(epoch: &Epoch) -> Result<(), PipelineError> {
    let (n_records, n_own_rows) = (epoch.covered.n_records(), epoch.changes.len() as u64);
    let (n_rows, n_dead_letters) = (epoch.staged.n_rows, epoch.staged.n_dead_letters);
    if n_rows + n_dead_letters == n_records + n_own_rows {
        return Ok(());
    }
    let (epoch, n_rows) = (epoch.staged.epoch_id.clone(), n_rows.saturating_sub(n_own_rows));
    Err(PipelineError::Unbalanced { epoch, n_records, n_rows, n_dead_letters })
}

#[cfg(test)]
mod tests;
