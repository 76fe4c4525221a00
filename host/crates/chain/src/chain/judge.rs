//! The chain as a stage of the pipeline: a batch passes through every plugin, and what happens to the
//! plugins themselves meanwhile is recorded.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use audit_core::stage::{Chain, Progress};
use audit_core::{
    Alert, Batch, Changes, DeadLetter, Error as CoreError, Judged, NextPart, PluginId, PluginState,
    RawBatch, ReasonClass, Rejected, Remaining, schema,
};

use crate::chain::PluginChain;
use crate::chain::control::Request;
use crate::chain::outcome::Outcome;
use crate::chain::shadow::LiveBatch;
use crate::error::Error;
use crate::limits::OnError;
use crate::plugin::spec::Blueprint;
use crate::runner::halvings;
use crate::runner::search::Verdict;
use crate::runner::slot::Slot;

/// How long rows are judged before the pipeline looks whether the epoch ends, a command came or the run stops.
const SLICE: Duration = Duration::from_millis(100);

impl Chain for PluginChain {
    fn take_changes(&mut self) -> Changes {
        while let Ok(Request { command, reply }) = self.requests.try_recv() {
            let began = Instant::now();
            let done = self.apply(command, began);
            // The requester may be gone; the change stays.
            drop(reply.send(done));
        }
        self.drain_events()
    }

    fn drain_events(&mut self) -> Changes {
        std::mem::take(&mut self.events)
    }

    fn judge(&mut self, batch: Batch) -> Result<Judged, CoreError> {
        let mut remaining = Remaining::from(batch);
        let mut whole: Option<Judged> = None;
        loop {
            let Progress { judged, rest, wait } = self.judge_some(remaining)?;
            match (&mut whole, judged) {
                (Some(whole), Some(judged)) => whole.append(judged)?,
                (None, judged) => whole = judged,
                (Some(_), None) => {}
            }
            let Some(rest) = rest else { break };
            remaining = rest;
            thread::sleep(wait);
        }
        Ok(whole.expect("a batch ends with a part that was judged"))
    }

    fn judge_some(&mut self, mut remaining: Remaining) -> Result<Progress, CoreError> {
        let until = Instant::now() + SLICE;
        let mut judged: Option<Judged> = None;
        loop {
            let part = remaining.next_part(self.part_rows());
            match (self.judge_part(&remaining, &part)?, &mut judged) {
                (Step::Done(part), Some(judged)) => judged.append(*part)?,
                (Step::Done(part), None) => judged = Some(*part),
                (Step::Again(wait), _) if wait.is_zero() && Instant::now() < until => continue,
                (Step::Again(wait), _) => {
                    return Ok(Progress { judged, rest: Some(remaining), wait });
                }
            }
            remaining.finish(&part);
            if part.is_last {
                self.slots.iter_mut().for_each(Slot::end_batch);
                return Ok(Progress { judged, rest: None, wait: Duration::ZERO });
            }
            if Instant::now() >= until {
                return Ok(Progress { judged, rest: Some(remaining), wait: Duration::ZERO });
            }
        }
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, CoreError> {
        self.alerted.clear();
        halvings::log(self.take_halvings());
        let mut states = Vec::new();
        for idx in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(idx) else { break };
            let blueprint = Arc::clone(&slot.blueprint);
            let (kept, lost) = slot.snapshot();
            states.extend(kept);
            blueprint.check_loss(&lost)?;
            for why in lost {
                self.report_lost_state(&blueprint, &why);
            }
        }
        Ok(states)
    }

    fn plugins(&self) -> Vec<PluginId> {
        self.slots.iter().map(|slot| slot.blueprint.id.clone()).collect()
    }

    fn lookups(&self) -> BTreeMap<String, String> {
        self.lookups.current().versions()
    }
}

impl PluginChain {
    /// Rows that every plugin may get at once: all, unless a breaker is open.
    fn part_rows(&self) -> usize {
        let max = self.slots.iter().map(Slot::part_rows).min().unwrap_or(usize::MAX);
        let min = self.slots.iter().map(Slot::part_rows_min).max().unwrap_or_default();
        max.max(min)
    }

    /// Passes rows through all plugins, or through none: if one cannot judge them now, those before it are as if
    /// they had never seen them.
    fn judge_part(&mut self, remaining: &Remaining, part: &NextPart) -> Result<Step, CoreError> {
        let raw = &remaining.batch().raw;
        let clock = clock_of(raw);
        let mut work = Work::of(remaining.batch(), part);
        let (mut outcomes, mut offers) = (Vec::new(), Vec::new());
        self.slots.iter_mut().for_each(Slot::begin);
        for idx in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(idx) else { break };
            if work.columns.num_rows() == 0 {
                break;
            }
            let began = Instant::now();
            let context = slot.context(&raw.topic, clock);
            let judged = slot.judge(&context, &work.columns, part.is_last)?;
            let blueprint = Arc::clone(&slot.blueprint);
            blueprint.check_loss(&judged.lost)?;
            let outcome = Outcome::of(&judged);
            if let Some(wait) = judged.again {
                self.slots.iter_mut().for_each(Slot::roll_back);
                outcomes.push((blueprint, outcome));
                for (blueprint, outcome) in outcomes {
                    self.note_outcome(&blueprint, &outcome.without_rows());
                }
                return Ok(Step::Again(wait));
            }
            if let Some(shadow) = self.shadows.get(slot.name()) {
                let (columns, time) = (&work.columns, began.elapsed());
                let live = LiveBatch::new(&blueprint, context, columns, &judged.verdict, time);
                offers.push((shadow.sender(), live));
            }
            work.take(&blueprint, raw, judged.verdict)?;
            outcomes.push((blueprint, outcome));
        }
        self.slots.iter_mut().for_each(Slot::end);
        for (shadow, live) in offers {
            shadow.offer(live);
        }
        for (blueprint, outcome) in outcomes {
            self.note_outcome(&blueprint, &outcome);
        }
        let covered = remaining.covered(part)?;
        for (at, span) in covered.iter() {
            self.position.insert(at.clone(), span.next);
        }
        let Work { columns, dead_letters, alerts, .. } = work;
        let topic = Arc::clone(&raw.topic);
        Ok(Step::Done(Box::new(Judged { topic, rows: columns, covered, dead_letters, alerts })))
    }
}

/// How far rows have come.
enum Step {
    Done(Box<Judged>),
    /// Nothing is judged: go on after this time.
    Again(Duration),
}

/// Rows on their way through the plugins.
struct Work {
    columns: RecordBatch,
    record_of_row: Vec<u32>,
    dead_letters: Vec<DeadLetter>,
    alerts: Vec<Alert>,
}

impl Work {
    fn of(batch: &Batch, part: &NextPart) -> Self {
        let rejected = batch.rejected.iter().filter(|one| part.records.contains(&one.record_idx));
        let record_of_row = batch.record_of_row.get(part.rows.clone()).unwrap_or_default();
        Self {
            columns: batch.columns.slice(part.rows.start, part.rows.len()),
            record_of_row: record_of_row.to_vec(),
            dead_letters: rejected.filter_map(|one| dead_letter(&batch.raw, one)).collect(),
            alerts: Vec::new(),
        }
    }

    fn take(&mut self, plugin: &Blueprint, raw: &RawBatch, verdict: Verdict) -> Result<(), Error> {
        let Verdict { columns, quarantined, poison, alerts, .. } = verdict;
        if plugin.on_error == OnError::Halt && !poison.is_empty() {
            return Err(self.halted(plugin, raw, &poison));
        }
        self.alerts.extend(alerts);
        self.columns = replace_columns(plugin, &self.columns, columns)?;
        let passes = plugin.on_error == OnError::Pass;
        let mut out: BTreeMap<u32, (ReasonClass, String)> = quarantined
            .into_iter()
            .map(|(row, why)| (row, (ReasonClass::Quarantined, why)))
            .collect();
        if !passes {
            out.extend(poison.into_iter().map(|(row, why)| (row, (ReasonClass::PluginFault, why))));
        }
        if out.is_empty() {
            return Ok(());
        }
        self.columns = without(&self.columns, &out)?;
        let mut row = 0;
        self.record_of_row.retain(|record_idx| {
            let reason = out.remove(&row);
            row += 1;
            let Some((class, why)) = reason else { return true };
            let record_idx = *record_idx as usize;
            let by = Some(plugin.id.clone());
            self.dead_letters.extend(DeadLetter::of_record(raw, record_idx, class, why, by));
            false
        });
        Ok(())
    }

    fn halted(&self, plugin: &Blueprint, raw: &RawBatch, poison: &BTreeMap<u32, String>) -> Error {
        let (row, problem) =
            poison.first_key_value().map_or((0, ""), |(r, why)| (*r as usize, why));
        let place = || {
            let partitions = self.columns.column_by_name(schema::SOURCE_PARTITION)?;
            let offsets = self.columns.column_by_name(schema::SOURCE_OFFSET)?;
            let partition = partitions.as_primitive_opt::<Int32Type>()?.value(row);
            let offset = offsets.as_primitive_opt::<Int64Type>()?.value(row);
            Some(format!(", the first at {}[{partition}]@{offset}", raw.topic))
        };
        Error::Halted {
            plugin: plugin.source.clone(),
            n_rows: poison.len(),
            place: place().unwrap_or_default(),
            problem: problem.to_owned(),
        }
    }
}

fn dead_letter(raw: &RawBatch, rejected: &Rejected) -> Option<DeadLetter> {
    let Rejected { record_idx, class, reason } = rejected;
    DeadLetter::of_record(raw, *record_idx, *class, reason.clone(), None)
}

/// The newest Kafka timestamp of the batch, in microseconds.
fn clock_of(raw: &RawBatch) -> i64 {
    let newest = raw.records.iter().filter_map(|record| record.timestamp_ms).max();
    newest.unwrap_or(0).saturating_mul(1000)
}

/// The batch with the columns that the plugin returned.
fn replace_columns(
    plugin: &Blueprint,
    batch: &RecordBatch,
    columns: Vec<ArrayRef>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    if columns.is_empty() {
        return Ok(batch.clone());
    }
    let mut fields: Vec<_> = batch.schema().fields().iter().map(Arc::clone).collect();
    let mut arrays = batch.columns().to_vec();
    for (output, column) in plugin.writes.iter().zip(columns) {
        let place = batch.schema().index_of(&output.name).ok();
        if let Some(place) = place.and_then(|idx| arrays.get_mut(idx)) {
            *place = column;
        } else {
            fields.push(Arc::new(Field::new(&output.name, output.data_type.clone(), true)));
            arrays.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// The batch without the rows given.
fn without<T>(
    batch: &RecordBatch,
    rows: &BTreeMap<u32, T>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let gone: HashSet<usize> = rows.keys().map(|row| *row as usize).collect();
    let keep = BooleanBuffer::collect_bool(batch.num_rows(), |row| !gone.contains(&row));
    filter_record_batch(batch, &BooleanArray::new(keep, None))
}
