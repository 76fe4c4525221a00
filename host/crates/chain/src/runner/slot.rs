//! A plugin at its place in the chain: one instance, or one for each partition; its breaker, and a
//! candidate beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use audit_core::{Alert, PluginState, TopicPartition, schema};

use crate::bisect::{self, Bounds, Verdict};
use crate::breaker::{Breaker, Turn, Way};
use crate::control::LENT_FOR;
use crate::error::Error;
use crate::limits::Scope;
use crate::memory::{Memory, Moment, Part};
use crate::plugin::{Blueprint, Plugin};
use crate::runner::Runner;
use crate::shadow::Shadow;

/// What feeds one instance: a partition, or everything.
pub(crate) type Lane = Option<TopicPartition>;

pub(crate) struct Slot {
    pub(crate) blueprint: Arc<Blueprint>,
    runners: BTreeMap<Lane, Runner>,
    breaker: Breaker,
    pub(crate) shadow: Option<Shadow>,
}

/// What a slot did with a batch.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) turn: Turn,
    /// Whether the plugin was asked at all.
    pub(crate) asked: bool,
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
        Self { blueprint, runners, breaker: Breaker::default(), shadow: None }
    }

    /// What the next batch is judged in.
    pub(crate) fn moment(&self, topic: &Arc<str>, clock: i64) -> Moment {
        let lookups = self.blueprint.grants.lookups.lookups.current();
        Moment { topic: Arc::clone(topic), clock, lookups }
    }

    /// Judges rows of one topic; `columns` as they stand at this place.
    pub(crate) fn judge(
        &mut self,
        moment: &Moment,
        columns: &RecordBatch,
    ) -> Result<Judged, Error> {
        let way = self.breaker.way(self.blueprint.limits.breaker_pause);
        if way == Way::Open {
            let why = "not asked: the plugin failed on too many rows before (its breaker is open)";
            let verdict = Verdict::unasked(&self.blueprint, columns.num_rows(), why);
            return Ok(Judged { verdict, turn: Turn::Stayed, asked: false, lost: Vec::new() });
        }
        let limits = &self.blueprint.limits;
        let time = if way == Way::Probe { limits.probe_time() } else { limits.bisect_time() };
        let part = Part { moment: moment.clone(), columns: self.blueprint.project(columns)? };
        let bounds = Bounds::new(part.rows(), time);
        let verdict = match self.blueprint.scope {
            Scope::Merged => bisect::judge(self.runner(None), &part, bounds)?,
            Scope::Partition => self.judge_lanes(&part, columns, bounds)?,
        };
        let turn = self.breaker.note(verdict.tripped.is_some());
        let lost = self.runners.values_mut().filter_map(Runner::take_lost).collect();
        Ok(Judged { verdict, turn, asked: true, lost })
    }

    /// The most linear memory that one of its instances had so far, in bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.runners.values().map(Runner::peak_bytes).max().unwrap_or_default()
    }

    fn runner(&mut self, lane: Lane) -> &mut Runner {
        let blueprint = &self.blueprint;
        self.runners.entry(lane).or_insert_with(|| Runner::idle(Arc::clone(blueprint)))
    }

    /// Each partition's rows to its own instance, partitions in their order.
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
            let lane = Some(TopicPartition::new(&part.moment.topic, partition));
            let of_lane = Part {
                moment: part.moment.clone(),
                columns: take_record_batch(&part.columns, &UInt32Array::from(rows.clone()))?,
            };
            let verdict =
                bisect::judge(self.runner(lane), &of_lane, bounds.after(merged.poison.len()))?;
            let row_of = |(row, why): (u32, String)| Some((*rows.get(row as usize)?, why));
            merged.quarantined.extend(verdict.quarantined.into_iter().filter_map(row_of));
            merged.poison.extend(verdict.poison.into_iter().filter_map(row_of));
            merged.alerts.extend(verdict.alerts);
            merged.n_failures += verdict.n_failures;
            merged.tripped = verdict.tripped;
        }
        Ok(merged)
    }

    /// What the instances remember. A snapshot that fails costs the state, and says so.
    pub(crate) fn snapshot(&mut self) -> (Vec<PluginState>, Vec<String>) {
        let (mut states, mut lost) = (Vec::new(), Vec::new());
        if !self.blueprint.has_state() {
            return (states, lost);
        }
        for (lane, runner) in &mut self.runners {
            let saved = runner.snapshot();
            // It may have been lost on the way, and what was saved is that of an empty one.
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

    /// Takes over a state of an earlier run. A state of the other scope is refused: it was fed by other
    /// rows than those that will follow.
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

    /// Takes over what another version of the same plugin remembers, while the stream waits: within the time
    /// that a batch may take twice. After an error the other one is as it was.
    pub(crate) fn take_over(&mut self, old: &mut Slot) -> Result<(), Error> {
        if !old.blueprint.has_state() {
            return Ok(());
        }
        if !self.blueprint.has_state() {
            return Err(Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem: "it keeps no state, and the version that runs has one".to_owned(),
            });
        }
        if old.blueprint.scope != self.blueprint.scope {
            return Err(Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem:
                    "its scope is another than before; that needs a restart with another --group"
                        .to_owned(),
            });
        }
        let until = Instant::now() + self.blueprint.limits.probe_time();
        for (lane, runner) in &mut old.runners {
            if !runner.memory().is_read_by(&self.blueprint.reads) {
                // With a snapshot nothing is left to be judged again. One that fails is told by `follow`.
                runner.save_if_it_can();
            }
            self.runner(lane.clone()).follow(&runner.lend(LENT_FOR), Some(until))?;
        }
        Ok(())
    }

    /// Losses of the version before that nobody has been told of are not forgotten with it.
    pub(crate) fn inherit_losses(&mut self, old: &mut Slot) {
        for (lane, runner) in &mut old.runners {
            if let Some(why) = runner.take_lost() {
                self.runner(lane.clone()).note_lost(why);
            }
        }
    }

    /// What other instances can be brought to the places of these by.
    pub(crate) fn lend(&mut self) -> Vec<(Lane, Memory)> {
        if !self.blueprint.has_state() {
            return Vec::new();
        }
        let lent = |(lane, runner): (&Lane, &mut Runner)| (lane.clone(), runner.lend(LENT_FOR));
        self.runners.iter_mut().map(lent).collect()
    }

    /// Whether the plugin is not asked, or only tried.
    pub(crate) fn is_given_up(&self) -> bool {
        self.breaker.is_open()
    }

    /// What it found that the version before it had not.
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
