//! A plugin at its position in the chain: one instance, or one for each partition, and the breaker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use audit_core::{Alert, PluginState, TopicPartition, schema};

use crate::error::Error;
use crate::limits::Scope;
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::Blueprint;
use crate::runner::Runner;
use crate::runner::bisect::{self, Bounds, Verdict};
use crate::runner::breaker::{Breaker, State, Transition};
use crate::runner::replay::{BatchContext, Lane, Part, ReplayLog};

pub(crate) struct Slot {
    pub(crate) blueprint: Arc<Blueprint>,
    runners: BTreeMap<Lane, Runner>,
    breaker: Breaker,
}

/// The outcome of a batch.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) transition: Transition,
    /// Whether the plugin was called at all.
    pub(crate) called: bool,
    /// States that were lost, with why.
    pub(crate) lost: Vec<String>,
}

impl Slot {
    pub(crate) fn new(plugin: Plugin) -> Self {
        let Plugin { blueprint, runner, mut lanes } = plugin;
        if blueprint.scope == Scope::Merged {
            lanes.entry(None).or_insert(runner);
        }
        let runners = lanes;
        Self { blueprint, runners, breaker: Breaker::default() }
    }

    /// The context of the next batch.
    pub(crate) fn context(&self, topic: &Arc<str>, clock: i64) -> BatchContext {
        let lookups = self.blueprint.grants.lookups.lookups.current();
        BatchContext { topic: Arc::clone(topic), clock, lookups }
    }

    /// Judges rows of one topic; `columns` are those at this position.
    pub(crate) fn judge(
        &mut self,
        context: &BatchContext,
        columns: &RecordBatch,
    ) -> Result<Judged, Error> {
        let state = self.breaker.state(self.blueprint.limits.breaker_pause);
        if state == State::Open {
            let why = "not called: the plugin's breaker is open, as it failed on too many rows";
            let verdict = Verdict::not_called(&self.blueprint, columns.num_rows(), why);
            let transition = Transition::None;
            return Ok(Judged { verdict, transition, called: false, lost: Vec::new() });
        }
        let limits = &self.blueprint.limits;
        let time =
            if state == State::HalfOpen { limits.probe_time() } else { limits.bisect_time() };
        let part = Part { context: context.clone(), columns: self.blueprint.project(columns)? };
        let bounds = Bounds::new(part.rows(), time);
        let verdict = match self.blueprint.scope {
            Scope::Merged => bisect::judge(self.runner(None), &part, bounds)?,
            Scope::Partition => self.judge_lanes(&part, columns, bounds)?,
        };
        let transition = self.breaker.record(verdict.tripped.is_some());
        let lost = self.runners.values_mut().filter_map(Runner::take_lost).collect();
        Ok(Judged { verdict, transition, called: true, lost })
    }

    /// The highest use of linear memory of any of its instances so far, in bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.runners.values().map(Runner::peak_bytes).max().unwrap_or_default()
    }

    fn runner(&mut self, lane: Lane) -> &mut Runner {
        let blueprint = &self.blueprint;
        self.runners.entry(lane).or_insert_with(|| Runner::idle(Arc::clone(blueprint)))
    }

    /// Passes each partition's rows to its own instance, in the order of the partitions.
    fn judge_lanes(
        &mut self,
        part: &Part,
        columns: &RecordBatch,
        bounds: Bounds,
    ) -> Result<Verdict, Error> {
        let mut merged = Verdict::default();
        for (partition, rows) in rows_by_partition(columns) {
            if let Some(why) = &merged.tripped {
                merged.poison.extend(rows.into_iter().map(|row| (row, why.clone())));
                continue;
            }
            let lane = Some(TopicPartition::new(&part.context.topic, partition));
            let of_lane = Part {
                context: part.context.clone(),
                columns: take_record_batch(&part.columns, &UInt32Array::from(rows.clone()))?,
            };
            let verdict =
                bisect::judge(self.runner(lane), &of_lane, bounds.after(merged.poison.len()))?;
            let row_of = |(row, why): (u32, String)| Some((*rows.get(row as usize)?, why));
            merged.quarantined.extend(verdict.quarantined.into_iter().filter_map(row_of));
            merged.poison.extend(verdict.poison.into_iter().filter_map(row_of));
            merged.alerts.extend(verdict.alerts);
            merged.n_failures += verdict.n_failures;
            merged.halvings.add(&verdict.halvings);
            merged.tripped = verdict.tripped;
        }
        Ok(merged)
    }

    /// The states of the instances, and why states were lost: a failed snapshot loses the state.
    pub(crate) fn snapshot(&mut self) -> (Vec<PluginState>, Vec<String>) {
        let (mut states, mut lost) = (Vec::new(), Vec::new());
        if !self.blueprint.has_state() {
            return (states, lost);
        }
        for (lane, runner) in &mut self.runners {
            let saved = runner.snapshot();
            // The state may have been lost on the way, so that the snapshot is that of a fresh instance.
            if let Some(why) = runner.take_lost() {
                lost.push(why);
                continue;
            }
            match saved {
                Ok(bytes) => states.push(PluginState {
                    plugin: self.blueprint.id.clone(),
                    partition: lane.clone(),
                    state_version: self.blueprint.state_version,
                    bytes,
                }),
                Err(failure) => lost.push(format!("its snapshot failed: {failure}")),
            }
        }
        (states, lost)
    }

    /// Restores a state of an earlier run. A state of the other scope is refused: it is of other rows than
    /// those that will follow.
    pub(crate) fn restore(&mut self, state: &PluginState) -> Result<(), Error> {
        let is_partition = self.blueprint.scope == Scope::Partition;
        if is_partition != state.partition.is_some() {
            let was = if is_partition { "merged" } else { "partition" };
            return Err(Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem: format!("the state was made with scope = \"{was}\""),
            });
        }
        self.runner(state.partition.clone()).restore(state.state_version, &state.bytes)
    }

    /// Takes over the state of another version of the same plugin, while the stream waits: within twice the
    /// time limit of a batch. After an error the other version is unchanged.
    pub(crate) fn take_over(&mut self, old: &mut Slot) -> Result<(), Error> {
        if !old.blueprint.has_state() {
            return Ok(());
        }
        if !self.blueprint.has_state() {
            return Err(Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem: "it has no state, but the running version has one".to_owned(),
            });
        }
        if old.blueprint.scope != self.blueprint.scope {
            return Err(Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem: "a change of its scope needs a restart with another --group".to_owned(),
            });
        }
        let until = Instant::now() + self.blueprint.limits.probe_time();
        for (lane, runner) in &mut old.runners {
            if !runner.log().has_columns(&self.blueprint.reads) {
                // After a snapshot nothing is left to replay. If it fails, `catch_up_with` reports it.
                runner.snapshot_if_possible();
            }
            self.runner(lane.clone()).catch_up_with(&runner.share_log(), Some(until))?;
        }
        Ok(())
    }

    /// Takes over losses of the previous version that were not reported yet.
    pub(crate) fn inherit_losses(&mut self, old: &mut Slot) {
        for (lane, runner) in &mut old.runners {
            if let Some(why) = runner.take_lost() {
                self.runner(lane.clone()).note_lost(why);
            }
        }
    }

    /// The logs by which other instances can reach the states of these.
    pub(crate) fn share_logs(&mut self) -> Vec<(Lane, ReplayLog)> {
        if !self.blueprint.has_state() {
            return Vec::new();
        }
        let shared = |(lane, runner): (&Lane, &mut Runner)| (lane.clone(), runner.share_log());
        self.runners.iter_mut().map(shared).collect()
    }

    /// Whether the breaker is open or half open.
    pub(crate) fn is_breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Alerts that it raised while it caught up and the previous version had not.
    pub(crate) fn take_gained(&mut self) -> Vec<Alert> {
        self.runners.values_mut().flat_map(Runner::take_gained).collect()
    }

    pub(crate) fn name(&self) -> &str {
        &self.blueprint.id.name
    }
}

fn rows_by_partition(columns: &RecordBatch) -> BTreeMap<i32, Vec<u32>> {
    let mut rows: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    let Some(column) = columns.column_by_name(schema::SOURCE_PARTITION) else { return rows };
    for (row, partition) in column.as_primitive::<Int32Type>().values().iter().enumerate() {
        rows.entry(*partition).or_default().push(row as u32);
    }
    rows
}
