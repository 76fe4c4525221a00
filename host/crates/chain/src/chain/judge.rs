//! The chain as a stage of the pipeline: a batch passes through every plugin, and what happens to the
//! plugins themselves meanwhile is recorded.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use audit_core::stage::Chain;
use audit_core::{
    Alert, Batch, ChangeKind, Changes, Counters, DeadLetter, Judged, PluginId, PluginState,
    RawBatch, ReasonClass, Rejected, Severity, schema,
};

use crate::chain::PluginChain;
use crate::chain::control::Request;
use crate::error::Error;
use crate::limits::OnError;
use crate::plugin::spec::Blueprint;
use crate::runner::bisect::Verdict;
use crate::runner::breaker::Transition;
use crate::runner::{halvings, slot};

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

    fn judge(&mut self, batch: Batch) -> Result<Judged, audit_core::Error> {
        let Batch { raw, columns, record_of_row, rejected } = batch;
        let dead_letters = rejected.into_iter().filter_map(|one| dead_letter(&raw, one)).collect();
        let mut work = Work { columns, record_of_row, dead_letters, alerts: Vec::new() };
        let clock = clock_of(&raw);
        for idx in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(idx) else { break };
            if work.columns.num_rows() == 0 {
                break;
            }
            let began = Instant::now();
            let context = slot.context(&raw.topic, clock);
            let judged = slot.judge(&context, &work.columns)?;
            if let Some(shadow) = self.shadows.get(slot.name()) {
                let (columns, time) = (&work.columns, began.elapsed());
                shadow.offer(&slot.blueprint, context, columns, &judged.verdict, time);
            }
            let blueprint = Arc::clone(&slot.blueprint);
            blueprint.check_loss(&judged.lost)?;
            self.note_outcome(&blueprint, &judged);
            work.take(&blueprint, &raw, judged.verdict)?;
        }
        for (at, span) in raw.covered.iter() {
            self.position.insert(at.clone(), span.next);
        }
        Ok(Judged {
            topic: Arc::clone(&raw.topic),
            rows: work.columns,
            covered: raw.covered,
            dead_letters: work.dead_letters,
            alerts: work.alerts,
        })
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, audit_core::Error> {
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
    /// Counts, logs and records what the outcome of a batch says about the plugin itself.
    fn note_outcome(&mut self, blueprint: &Blueprint, judged: &slot::Judged) {
        let name = &blueprint.id.name;
        let verdict = &judged.verdict;
        Counters::add(&self.counters.plugin_failures, verdict.n_failures);
        Counters::add(&self.counters.plugin_poison_rows, verdict.poison.len() as u64);
        Counters::add(&self.counters.plugin_breaker_batches, u64::from(!judged.called));
        if !verdict.halvings.why.is_empty() {
            self.halvings.entry(name.clone()).or_default().add(&verdict.halvings);
        }
        for why in &judged.lost {
            self.report_lost_state(blueprint, why);
        }
        match (judged.transition, &verdict.tripped) {
            (Transition::Opened, Some(why)) => {
                tracing::error!(plugin = name, why, "plugin breaker opened");
                let pause = blueprint.limits.breaker_pause;
                let message = format!(
                    "The breaker of the plugin {name} opened: {why}. The plugin is not called for {pause:?} \
                     at a time; meanwhile rows {}. Replace the plugin or change its configuration.",
                    if blueprint.on_error == OnError::Pass {
                        "are stored without it"
                    } else {
                        "become dead letters"
                    }
                );
                self.alert(&blueprint.id, "plugin-breaker", Severity::Critical, &message);
                let id = Some(blueprint.id.clone());
                self.record(ChangeKind::BreakerOpened, blueprint, id, why);
            }
            (Transition::Closed, _) => {
                tracing::info!(plugin = name, "plugin breaker closed");
                let id = Some(blueprint.id.clone());
                self.record(
                    ChangeKind::BreakerClosed,
                    blueprint,
                    id,
                    "a batch did not trip the breaker",
                );
            }
            _ => {}
        }
        if let Some(why) = verdict.poison.values().next()
            && verdict.tripped.is_none()
            && judged.called
            && !self.alerted.contains(name)
        {
            self.alerted.push(name.clone());
            tracing::warn!(
                plugin = name,
                rows = verdict.poison.len(),
                why,
                "plugin failed on rows"
            );
            let message = format!(
                "The plugin {name} failed on {} rows of a batch: {why}. They are handled as its on-error \
                 says.",
                verdict.poison.len()
            );
            self.alert(&blueprint.id, "plugin-fault", Severity::High, &message);
        }
    }

    fn report_lost_state(&mut self, blueprint: &Blueprint, why: &str) {
        let name = &blueprint.id.name;
        Counters::add(&self.counters.plugin_states_lost, 1);
        tracing::error!(plugin = name, why, "detector state lost");
        let message = format!(
            "The detector {name} lost its state ({why}): what began before now may go unnoticed. Correct \
             the plugin."
        );
        self.alert(&blueprint.id, "detector-state-lost", Severity::High, &message);
        self.record(ChangeKind::StateLost, blueprint, Some(blueprint.id.clone()), why);
    }
}

/// A batch on its way through the plugins.
struct Work {
    columns: RecordBatch,
    record_of_row: Vec<u32>,
    dead_letters: Vec<DeadLetter>,
    alerts: Vec<Alert>,
}

impl Work {
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

fn dead_letter(raw: &RawBatch, rejected: Rejected) -> Option<DeadLetter> {
    let Rejected { record_idx, class, reason } = rejected;
    DeadLetter::of_record(raw, record_idx, class, reason, None)
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
