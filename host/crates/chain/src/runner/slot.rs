//! A plugin at its position in the chain: one instance, or one for each partition, and the breaker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use audit_core::{Alert, PluginState, TopicPartition, schema};

use crate::error::Error;
use crate::limits::{OnError, Scope};
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::Blueprint;
use crate::runner::Runner;
use crate::runner::breaker::{Breaker, State, Transition};
use crate::runner::replay::{BatchContext, Lane, Part, ReplayLog};
use crate::runner::sample::Sample;
use crate::runner::search::{self, Bounds, Verdict};
use crate::text;

/// Why a row is a dead letter for which the plugin was not called.
const NOT_CALLED: &str =
    "not called: the plugin has failed on every row for breaker-pause; at last";
/// Rows of a batch that are tried, once the plugin has failed on everything.
const TRIED_ROWS: usize = 8;

/// How long a swap may hold up the stream.
const SWAP_TIME_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Slot {
    pub(crate) blueprint: Arc<Blueprint>,
    runners: BTreeMap<Lane, Runner>,
    breaker: Breaker,
    /// Rows that the plugin has judged.
    sample: Sample,
    /// Rows of the batch that it failed on, and why, by partition and offset: each is asked about once, although the
    /// batch is judged anew from its first row that is not settled.
    known_poison: HashMap<(i32, i64), String>,
    /// Why it failed on the last row before rows were given up.
    last_failure: String,
}

/// The outcome of rows.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) transition: Transition,
    /// Why the breaker opened or gave up.
    pub(crate) why: Option<String>,
    /// Whether the plugin was called at all.
    pub(crate) called: bool,
    /// States that were lost, with why.
    pub(crate) lost: Vec<String>,
    /// The rows are not judged: the chain rolls them back, and judges as many as [`Slot::part_rows`] after this time.
    pub(crate) again: Option<Duration>,
}

impl Judged {
    fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            transition: Transition::None,
            why: None,
            called: true,
            lost: Vec::new(),
            again: None,
        }
    }

    fn again(self, wait: Duration) -> Self {
        Self { again: Some(wait), ..self }
    }

    fn with(self, transition: Transition, why: Option<String>) -> Self {
        Self { transition, why, ..self }
    }
}

impl Slot {
    pub(crate) fn new(plugin: Plugin) -> Self {
        let Plugin { blueprint, runner, mut lanes } = plugin;
        if blueprint.scope == Scope::Merged {
            lanes.entry(None).or_insert(runner);
        }
        let (runners, breaker) = (lanes, Breaker::new());
        let (sample, known_poison) = (Sample::default(), HashMap::new());
        Self { blueprint, runners, breaker, sample, known_poison, last_failure: String::new() }
    }

    /// The context of the next batch.
    pub(crate) fn context(&self, topic: &Arc<str>, clock: i64) -> BatchContext {
        let lookups = self.blueprint.grants.lookups.lookups.current();
        BatchContext { topic: Arc::clone(topic), clock, lookups }
    }

    /// Rows that it may get at once.
    pub(crate) fn part_rows(&self) -> usize {
        self.breaker.part_rows()
    }

    /// Rows that it must get at once, if so many are left.
    pub(crate) fn part_rows_min(&self) -> usize {
        self.breaker.part_rows_min()
    }

    /// Judges rows of one topic; `columns` are those at this position. `is_last`: no rows of the batch follow.
    pub(crate) fn judge(
        &mut self,
        context: &BatchContext,
        columns: &RecordBatch,
        is_last: bool,
    ) -> Result<Judged, Error> {
        let part = Part { context: context.clone(), columns: self.blueprint.project(columns)? };
        let rows = Rows::of(columns);
        let mut judged = match self.breaker.state() {
            State::Closed => self.judge_closed(&part, &rows)?,
            State::Open => self.judge_open(&part, &rows, is_last)?,
            State::GivenUp => self.judge_given_up(&part, &rows),
        };
        judged.lost = self.runners.values_mut().filter_map(Runner::take_lost).collect();
        Ok(judged)
    }

    /// A whole batch. If there is too much that it fails on, the breaker opens.
    fn judge_closed(&mut self, part: &Part, rows: &Rows) -> Result<Judged, Error> {
        let limits = self.blueprint.limits;
        let began = Instant::now();
        let bounds = Bounds::of_batch(part.rows(), &limits);
        let verdict = self.search(part, rows, &rows.all(), bounds)?;
        if self.blueprint.on_error == OnError::Halt && !verdict.poison.is_empty() {
            return Ok(Judged::of(verdict));
        }
        let all_failed = verdict.n_failures > 0 && !verdict.has_success;
        // The rows are to blame if one succeeds that did so before. Where nothing has succeeded yet nobody knows, and
        // they wait, unless nothing may wait.
        let may_wait = self.sample.is_known() || limits.breaker_pause > Duration::ZERO;
        let is_down = all_failed && may_wait && !self.works(&part.context);
        if let Some(why) = verdict.tripped.clone() {
            if verdict.has_success || (self.sample.is_known() && !is_down) {
                self.remember_poison(&verdict, rows);
            }
            let transition = self.breaker.open();
            return Ok(Judged::of(verdict).with(transition, Some(why)).again(Duration::ZERO));
        }
        if is_down {
            let why = if self.sample.is_known() {
                "the plugin failed on every row of a batch, and on rows that it judged before"
            } else {
                "the plugin failed on every row of a batch, and has judged none before"
            };
            let transition = self.breaker.open();
            let judged = Judged::of(verdict).with(transition, Some(why.to_owned()));
            return Ok(judged.again(Duration::ZERO));
        }
        self.remember_success(part, rows, &verdict)?;
        let took = if verdict.n_failures > 0 { began.elapsed() } else { Duration::ZERO };
        if self.breaker.wastes_time(took, limits.search_time()) {
            let why = "calls that failed took more than half of the time lately".to_owned();
            let transition = self.breaker.open();
            return Ok(Judged::of(verdict).with(transition, Some(why)));
        }
        Ok(Judged::of(verdict))
    }

    /// A part of a batch, under a share of the time.
    fn judge_open(&mut self, part: &Part, rows: &Rows, is_last: bool) -> Result<Judged, Error> {
        let limits = self.blueprint.limits;
        let pause = limits.breaker_pause;
        let is_known = |row: &u32| self.known_poison.contains_key(&rows.place(*row));
        let (known, asked): (Vec<u32>, Vec<u32>) = rows.all().into_iter().partition(is_known);
        let bounds = Bounds::of_part(part.rows(), &limits);
        let mut verdict = self.search(part, rows, &asked, bounds)?;
        let had_sample = self.sample.is_known();
        self.remember_success(part, rows, &verdict)?;
        if verdict.has_success && !had_sample && !self.known_poison.is_empty() {
            // Only now it is known that the plugin works: whether the rows are to blame is asked again.
            self.known_poison.clear();
            return Ok(Judged::of(verdict).again(Duration::ZERO));
        }
        let works = verdict.has_success || self.works(&part.context);
        if works && verdict.tripped.is_some() {
            self.remember_poison(&verdict, rows);
            self.breaker.narrow();
            return Ok(Judged::of(verdict).again(Duration::ZERO));
        }
        if works {
            let why = |row: &u32| self.known_poison.get(&rows.place(*row)).cloned();
            verdict.poison.extend(known.iter().filter_map(|row| Some((*row, why(row)?))));
            let transition = self.breaker.accept(verdict.poison.len(), pause);
            return Ok(Judged::of(verdict).with(transition, None));
        }
        if !had_sample && !is_last && verdict.tripped.is_none() {
            self.remember_poison(&verdict, rows);
            self.breaker.widen();
            return Ok(Judged::of(verdict).again(Duration::ZERO));
        }
        if let Some(why) = verdict.poison.values().next().or(self.known_poison.values().next()) {
            why.clone_into(&mut self.last_failure);
        }
        self.known_poison.clear();
        let (transition, wait) = self.breaker.wait_or_give_up(pause);
        Ok(Judged::of(verdict).with(transition, Some(self.last_failure.clone())).again(wait))
    }

    /// All that is left of a batch, once nothing has succeeded for the pause. The plugin is called for a few rows now
    /// and then. If one succeeds, the breaker is only open again, and the batch is judged.
    fn judge_given_up(&mut self, part: &Part, rows: &Rows) -> Judged {
        let began = Instant::now();
        if self.breaker.may_sample() {
            if self.works(&part.context) || self.succeeds_on_any(part, rows) {
                let transition = self.breaker.open();
                let judged = Judged::of(Verdict::default()).with(transition, None);
                return judged.again(Duration::ZERO);
            }
            self.breaker.sample_failed(began.elapsed());
        }
        let why = text::message(&format!("{NOT_CALLED}: {}", self.last_failure));
        let verdict = Verdict::not_called(&self.blueprint, part.rows(), &why);
        Judged { called: false, ..Judged::of(verdict) }
    }

    /// Whether it judges rows that it has judged before.
    fn works(&mut self, context: &BatchContext) -> bool {
        let Some((lane, part)) = self.sample.part(context) else { return false };
        let limits = self.blueprint.limits;
        let until = Instant::now() + limits.setup_budget();
        self.runner(lane).succeeds(&part, limits.batch_time, until)
    }

    /// Whether it judges any of a few rows of the batch.
    fn succeeds_on_any(&mut self, part: &Part, rows: &Rows) -> bool {
        let limits = self.blueprint.limits;
        let until = Instant::now() + limits.setup_budget();
        let step = part.rows().div_ceil(TRIED_ROWS).max(1);
        for row in (0..part.rows()).step_by(step) {
            let lane = self.lane_of(part, rows, row as u32);
            let runner = self.runner(lane);
            if runner.succeeds(&part.slice(row, 1), limits.share_time(), until) {
                return true;
            }
            if Instant::now() >= until {
                break;
            }
        }
        false
    }

    /// Judges some rows of a part, in their order; with a scope of partitions those of each by its own instance.
    fn search(
        &mut self,
        part: &Part,
        rows: &Rows,
        asked: &[u32],
        bounds: Bounds,
    ) -> Result<Verdict, Error> {
        let merged = self.blueprint.scope == Scope::Merged;
        if merged && asked.len() == part.rows() {
            return search::judge(self.runner(None), part, bounds);
        }
        let mut verdict = Verdict::default();
        let mut pieces = Vec::new();
        for (lane, rows) in self.lanes_of(part, rows, asked) {
            let of_lane = part.take(&rows)?;
            let bounds = bounds.after(verdict.poison.len());
            let judged = search::judge(self.runner(lane), &of_lane, bounds)?;
            let columns = verdict.add(judged, &rows);
            if verdict.tripped.is_some() {
                return Ok(verdict);
            }
            pieces.push((rows, columns));
        }
        verdict.columns = search::scattered(&self.blueprint, part.rows(), &pieces)?;
        Ok(verdict)
    }

    fn lanes_of(&self, part: &Part, rows: &Rows, asked: &[u32]) -> BTreeMap<Lane, Vec<u32>> {
        let mut lanes: BTreeMap<Lane, Vec<u32>> = BTreeMap::new();
        for row in asked {
            lanes.entry(self.lane_of(part, rows, *row)).or_default().push(*row);
        }
        lanes
    }

    fn lane_of(&self, part: &Part, rows: &Rows, row: u32) -> Lane {
        match self.blueprint.scope {
            Scope::Merged => None,
            Scope::Partition => Some(TopicPartition::new(&part.context.topic, rows.place(row).0)),
        }
    }

    fn remember_poison(&mut self, verdict: &Verdict, rows: &Rows) {
        let poison = verdict.poison.iter();
        self.known_poison.extend(poison.map(|(row, why)| (rows.place(*row), why.clone())));
    }

    fn remember_success(
        &mut self,
        part: &Part,
        rows: &Rows,
        verdict: &Verdict,
    ) -> Result<(), Error> {
        if !verdict.has_success || verdict.tripped.is_some() || !self.sample.is_due() {
            return Ok(());
        }
        let is_poison = |row: u32| {
            verdict.poison.contains_key(&row) || self.known_poison.contains_key(&rows.place(row))
        };
        let Some(first) = (0..part.rows() as u32).find(|row| !is_poison(*row)) else {
            return Ok(());
        };
        let lane = self.lane_of(part, rows, first);
        let good = (first..part.rows() as u32).filter(|row| !is_poison(*row));
        let good: Vec<u32> = good.filter(|row| self.lane_of(part, rows, *row) == lane).collect();
        Ok(self.sample.take(lane, part, &good)?)
    }

    /// Marks where rows begin that are judged by the whole chain or by none of it, until [`Slot::end`] or
    /// [`Slot::roll_back`].
    pub(crate) fn begin(&mut self) {
        self.runners.values_mut().for_each(Runner::begin);
    }

    pub(crate) fn end(&mut self) {
        self.runners.values_mut().for_each(Runner::end);
    }

    /// As if the rows had never come.
    pub(crate) fn roll_back(&mut self) {
        self.runners.values_mut().for_each(Runner::roll_back);
    }

    /// Forgets which rows of a batch it failed on: the batch is done.
    pub(crate) fn end_batch(&mut self) {
        self.known_poison.clear();
    }

    /// The highest use of linear memory of any of its instances so far, in bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.runners.values().map(Runner::peak_bytes).max().unwrap_or_default()
    }

    fn runner(&mut self, lane: Lane) -> &mut Runner {
        let blueprint = &self.blueprint;
        self.runners.entry(lane).or_insert_with(|| Runner::idle(Arc::clone(blueprint)))
    }

    /// The states of the instances, and why states were lost: a failed snapshot loses the state.
    pub(crate) fn snapshot(&mut self) -> (Vec<PluginState>, Vec<String>) {
        let (mut states, mut lost) = (Vec::new(), Vec::new());
        if !self.blueprint.has_state() {
            return (states, lost);
        }
        let until = Instant::now() + self.blueprint.limits.setup_budget();
        for (lane, runner) in &mut self.runners {
            runner.charge_to(Some(until));
            let saved = runner.snapshot();
            runner.charge_to(None);
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
    /// time limit of a batch, and at most a second. After an error the other version is unchanged.
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
        let until = Instant::now() + self.blueprint.limits.catch_up_time().min(SWAP_TIME_MAX);
        for (lane, runner) in &mut old.runners {
            if !runner.log().has_columns(&self.blueprint.reads) {
                // After a snapshot nothing is left to replay. If it fails, `catch_up_with` reports it.
                runner.snapshot_if_possible();
            }
            self.runner(lane.clone()).catch_up_with(&runner.share_log(), Some(until))?;
            self.runner(lane.clone()).charge_to(None);
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

    /// Whether the breaker is not closed.
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

/// Where rows come from.
struct Rows {
    places: Vec<(i32, i64)>,
}

impl Rows {
    fn of(columns: &RecordBatch) -> Self {
        let partitions = columns.column_by_name(schema::SOURCE_PARTITION);
        let offsets = columns.column_by_name(schema::SOURCE_OFFSET);
        let partitions = partitions.and_then(|column| column.as_primitive_opt::<Int32Type>());
        let offsets = offsets.and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some((partitions, offsets)) = partitions.zip(offsets) else {
            // Every batch of the pipeline has both.
            return Self { places: (0..columns.num_rows()).map(|row| (0, row as i64)).collect() };
        };
        let places = partitions.values().iter().zip(offsets.values());
        Self { places: places.map(|(partition, offset)| (*partition, *offset)).collect() }
    }

    fn all(&self) -> Vec<u32> {
        (0..self.places.len() as u32).collect()
    }

    fn place(&self, row: u32) -> (i32, i64) {
        self.places.get(row as usize).copied().unwrap_or_default()
    }
}
