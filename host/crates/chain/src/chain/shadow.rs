//! A shadow: a candidate that judges the same batches as a running plugin. Its output is only compared.
//!
//! It runs on a thread of its own. If it cannot keep up, batches are skipped and counted: the stream never
//! waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use audit_core::{Alert, Finding, PluginId, Position, schema};
use serde::Serialize;

use crate::error::Error;
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::Blueprint;
use crate::runner::replay::BatchContext;
use crate::runner::search::Verdict;
use crate::runner::slot::Slot;

/// Batches that wait for the candidate.
const BATCHES_WAITING_MAX: usize = 8;
/// Examples of each kind of difference.
const SAMPLES_MAX: usize = 10;
/// Alerts that only one of the two has raised so far: the other may be a batch behind.
const ALERTS_APART_MAX: usize = 10_000;

/// Rows that differ in one way, and the positions of some of them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Difference {
    pub rows: u64,
    pub samples: Vec<Position>,
}

/// How a candidate compares with the running plugin.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowReport {
    pub plugin: String,
    pub live: PluginId,
    pub shadow: PluginId,
    pub batches: u64,
    pub rows: u64,
    /// Batches that the candidate skipped because it was too slow.
    pub batches_skipped: u64,
    /// Batches that wait for the candidate.
    pub batches_waiting: u64,
    /// The rows that differ, by column.
    pub columns: BTreeMap<String, Difference>,
    /// Rows that only the candidate quarantines.
    pub quarantined_gained: Difference,
    /// Rows that only the running plugin takes out of the batch.
    pub quarantined_lost: Difference,
    /// Rows that the candidate fails on.
    pub failed: Difference,
    /// How often the candidate lost its state: its alerts mean little then.
    pub states_lost: u64,
    /// Why it failed, or lost its state, the last time.
    pub failure: Option<String>,
    pub alerts_both: u64,
    /// Alerts that only the candidate raises.
    pub alerts_gained: BTreeSet<Finding>,
    /// Alerts that only the running plugin raises.
    pub alerts_lost: BTreeSet<Finding>,
    pub live_nanoseconds: u64,
    pub shadow_nanoseconds: u64,
}

impl ShadowReport {
    fn new(live: &PluginId, shadow: &PluginId) -> Self {
        Self {
            plugin: live.name.clone(),
            live: live.clone(),
            shadow: shadow.clone(),
            batches: 0,
            rows: 0,
            batches_skipped: 0,
            batches_waiting: 0,
            columns: BTreeMap::new(),
            quarantined_gained: Difference::default(),
            quarantined_lost: Difference::default(),
            failed: Difference::default(),
            states_lost: 0,
            failure: None,
            alerts_both: 0,
            alerts_gained: BTreeSet::new(),
            alerts_lost: BTreeSet::new(),
            live_nanoseconds: 0,
            shadow_nanoseconds: 0,
        }
    }

    /// Whether the output of both was the same.
    pub fn is_same(&self) -> bool {
        self.columns.values().all(|column| column.rows == 0)
            && self.quarantined_gained.rows == 0
            && self.quarantined_lost.rows == 0
            && self.failed.rows == 0
            && self.states_lost == 0
            && self.alerts_gained.is_empty()
            && self.alerts_lost.is_empty()
    }
}

/// A batch as the running plugin got it, and that plugin's output.
pub(crate) struct LiveBatch {
    context: BatchContext,
    columns: RecordBatch,
    /// The running plugin's columns by name.
    written: Vec<(String, ArrayRef)>,
    quarantined: BTreeSet<u32>,
    alerts: Vec<Finding>,
    time: Duration,
}

impl LiveBatch {
    pub(crate) fn new(
        live: &Blueprint,
        context: BatchContext,
        columns: &RecordBatch,
        verdict: &Verdict,
        time: Duration,
    ) -> Self {
        let names = live.writes.iter().map(|output| output.name.clone());
        Self {
            context,
            columns: columns.clone(),
            written: names.zip(verdict.columns.iter().cloned()).collect(),
            quarantined: verdict.quarantined.keys().chain(verdict.poison.keys()).copied().collect(),
            alerts: verdict.alerts.iter().map(Alert::finding).collect(),
            time,
        }
    }
}

/// The live side of a comparison.
pub(crate) struct Shadow {
    pub(crate) blueprint: Arc<Blueprint>,
    batches: SyncSender<LiveBatch>,
    report: SharedReport,
}

pub(crate) type SharedReport = Arc<Shared>;

/// What both sides of a comparison update. The live side only counts, so it never waits for the other.
pub(crate) struct Shared {
    report: Mutex<ShadowReport>,
    batches_waiting: AtomicU64,
    batches_skipped: AtomicU64,
}

impl Shared {
    /// As it is now.
    pub(crate) fn read(&self) -> ShadowReport {
        let report = self.lock().clone();
        ShadowReport {
            batches_waiting: self.batches_waiting.load(Ordering::Relaxed),
            batches_skipped: self.batches_skipped.load(Ordering::Relaxed),
            ..report
        }
    }

    /// A report stays consistent even if a thread that updated it panicked.
    fn lock(&self) -> MutexGuard<'_, ShadowReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shadow {
    /// Starts the candidate with the current state of the running plugin.
    pub(crate) fn start(candidate: Plugin, live: &mut Slot) -> Result<Self, Error> {
        let blueprint = Arc::clone(&candidate.blueprint);
        let mut slot = Slot::new(candidate);
        slot.take_over(live)?;
        let mut report = ShadowReport::new(&live.blueprint.id, &blueprint.id);
        report.alerts_gained =
            slot.take_gained().iter().map(Alert::finding).take(ALERTS_APART_MAX).collect();
        let report = Arc::new(Shared {
            report: Mutex::new(report),
            batches_waiting: AtomicU64::new(0),
            batches_skipped: AtomicU64::new(0),
        });
        let (batches, waiting) = sync_channel(BATCHES_WAITING_MAX);
        let shared = Arc::clone(&report);
        thread::Builder::new()
            .name("plugin-shadow".to_owned())
            .spawn(move || compare_all(slot, &waiting, &shared))
            .map_err(|cause| Error::Engine(cause.into()))?;
        Ok(Self { blueprint, batches, report })
    }

    pub(crate) fn report(&self) -> SharedReport {
        Arc::clone(&self.report)
    }

    /// Where to pass batches on, once the whole chain has judged them.
    pub(crate) fn sender(&self) -> ShadowSender {
        ShadowSender { batches: self.batches.clone(), report: self.report() }
    }
}

/// Passes batches on to a candidate.
pub(crate) struct ShadowSender {
    batches: SyncSender<LiveBatch>,
    report: SharedReport,
}

impl ShadowSender {
    /// Passes a batch on, unless the candidate is too far behind.
    pub(crate) fn offer(&self, batch: LiveBatch) {
        self.report.batches_waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_)) = self.batches.try_send(batch) {
            self.report.batches_waiting.fetch_sub(1, Ordering::Relaxed);
            self.report.batches_skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn compare_all(mut slot: Slot, batches: &Receiver<LiveBatch>, shared: &Shared) {
    while let Ok(batch) = batches.recv() {
        let began = Instant::now();
        let judged = slot.judge_beside(&batch.context, &batch.columns);
        let time = began.elapsed();
        let mut report = shared.lock();
        report.batches += 1;
        report.rows += batch.columns.num_rows() as u64;
        report.live_nanoseconds += batch.time.as_nanos() as u64;
        report.shadow_nanoseconds += time.as_nanos() as u64;
        match judged {
            Ok((verdict, lost)) => {
                compare(&slot.blueprint, &batch, &verdict, &mut report);
                if let Some(why) = lost.into_iter().next_back() {
                    report.states_lost += 1;
                    report.failure = Some(why);
                }
            }
            Err(error) => report.failure = Some(error.to_string()),
        }
        drop(report);
        shared.batches_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn compare(shadow: &Blueprint, batch: &LiveBatch, verdict: &Verdict, report: &mut ShadowReport) {
    let theirs: BTreeMap<&str, &ArrayRef> = shadow
        .writes
        .iter()
        .map(|output| output.name.as_str())
        .zip(verdict.columns.iter())
        .collect();
    let ours: BTreeMap<&str, &ArrayRef> =
        batch.written.iter().map(|(name, column)| (name.as_str(), column)).collect();
    let names: BTreeSet<&str> = theirs.keys().chain(ours.keys()).copied().collect();
    for name in names {
        // A plugin that does not write a column leaves it unchanged.
        let before = batch.columns.column_by_name(name);
        let ours = ours.get(name).copied().or(before);
        let theirs = theirs.get(name).copied().or(before);
        let rows = differing(ours, theirs, batch.columns.num_rows());
        note(report.columns.entry(name.to_owned()).or_default(), batch, rows);
    }
    let out: BTreeSet<u32> = verdict.quarantined.keys().copied().collect();
    note(&mut report.quarantined_gained, batch, out.difference(&batch.quarantined).copied());
    note(&mut report.quarantined_lost, batch, batch.quarantined.difference(&out).copied());
    note(&mut report.failed, batch, verdict.poison.keys().copied());
    if let Some(why) = verdict.poison.values().next_back() {
        report.failure = Some(why.clone());
    }
    for alert in &verdict.alerts {
        match_up(&alert.finding(), &mut report.alerts_lost, &mut report.alerts_gained)
            .then(|| report.alerts_both += 1);
    }
    for alert in &batch.alerts {
        match_up(alert, &mut report.alerts_gained, &mut report.alerts_lost)
            .then(|| report.alerts_both += 1);
    }
}

/// Removes a finding from those that only the other side raised, or adds it to those of this side.
fn match_up(
    finding: &Finding,
    of_other: &mut BTreeSet<Finding>,
    own: &mut BTreeSet<Finding>,
) -> bool {
    if of_other.remove(finding) {
        return true;
    }
    if own.len() < ALERTS_APART_MAX {
        own.insert(finding.clone());
    }
    false
}

/// The rows in which two columns differ; all of them where one is absent or of another type.
fn differing(ours: Option<&ArrayRef>, theirs: Option<&ArrayRef>, rows: usize) -> Vec<u32> {
    let distinct = ours.zip(theirs).and_then(|(ours, theirs)| distinct(ours, theirs).ok());
    match distinct {
        Some(distinct) => distinct.values().set_indices().map(|row| row as u32).collect(),
        None => (0..rows as u32).collect(),
    }
}

fn note(difference: &mut Difference, batch: &LiveBatch, rows: impl IntoIterator<Item = u32>) {
    for row in rows {
        difference.rows += 1;
        if difference.samples.len() < SAMPLES_MAX
            && let Some(position) = position(batch, row as usize)
        {
            difference.samples.push(position);
        }
    }
}

fn position(batch: &LiveBatch, row: usize) -> Option<Position> {
    let partitions = batch.columns.column_by_name(schema::SOURCE_PARTITION)?;
    let offsets = batch.columns.column_by_name(schema::SOURCE_OFFSET)?;
    (row < partitions.len()).then(|| Position {
        topic: Arc::clone(&batch.context.topic),
        partition: partitions.as_primitive::<Int32Type>().value(row),
        offset: offsets.as_primitive::<Int64Type>().value(row),
    })
}
