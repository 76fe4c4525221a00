//! One instance and what it remembers, kept so that it can be rebuilt exactly after a failure.
//!
//! A guest that failed is thrown away: nothing is known of its memory any more. A transform is simply
//! started again. A detector gets its last snapshot back and then every batch that it has judged since,
//! whose answers are known already and dropped. So its state is always that of the rows that it judged
//! well, each once and in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use audit_lookup::Set;

use crate::abi::audit_host::plugin::types;
use crate::abi::{Lowered, state};
use crate::answer::{self, Answer, MESSAGE_BYTES_MAX, clipped};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::instance::Instance;
use crate::plugin::{Blueprint, fault};

/// Rows that a detector may be ahead of its last snapshot: bounds what a failure repeats (some
/// milliseconds) and the columns that are kept for it (some ten MiB).
const ROWS_SINCE_SNAPSHOT_MAX: usize = 131_072;
/// The same bound for rows that are large.
const BYTES_SINCE_SNAPSHOT_MAX: usize = 16 << 20;
/// And for batches that are small: each may take its whole time again.
const PARTS_SINCE_SNAPSHOT_MAX: usize = 256;

/// What a batch is judged in besides its rows. Kept with them, so that judging them again gives the same.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) topic: Arc<str>,
    pub(crate) clock: i64,
    /// Tables and calendars as they were when the rows came.
    pub(crate) lookups: Arc<Set>,
}

/// Rows of one topic with the columns that the plugin reads.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) moment: Moment,
    pub(crate) columns: RecordBatch,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    pub(crate) fn slice(&self, start: usize, rows: usize) -> Self {
        let columns = self.columns.slice(start, rows);
        Self { moment: self.moment.clone(), columns }
    }
}

/// What a state can be rebuilt from.
#[derive(Default)]
struct Memory {
    /// Version and bytes; `None` for a detector that has seen nothing before `since`.
    snapshot: Option<(u32, Vec<u8>)>,
    since: Vec<Part>,
    rows: usize,
    bytes: usize,
}

impl Memory {
    fn push(&mut self, part: &Part) {
        self.rows += part.rows();
        // For a part of a batch this counts the whole batch: too early a snapshot does no harm.
        self.bytes += part.columns.get_array_memory_size();
        self.since.push(part.clone());
    }

    fn is_full(&self) -> bool {
        self.rows >= ROWS_SINCE_SNAPSHOT_MAX
            || self.bytes >= BYTES_SINCE_SNAPSHOT_MAX
            || self.since.len() >= PARTS_SINCE_SNAPSHOT_MAX
    }

    fn keep(&mut self, version: u32, bytes: Vec<u8>) {
        *self = Self { snapshot: Some((version, bytes)), ..Self::default() };
    }
}

/// One instance of a plugin.
pub(crate) struct Runner {
    pub(crate) blueprint: Arc<Blueprint>,
    instance: Option<Instance>,
    memory: Memory,
    /// Set when a state could not be rebuilt, with why; taken by whoever reports it.
    lost: Option<String>,
    peak_bytes: usize,
}

impl Runner {
    pub(crate) fn new(blueprint: Arc<Blueprint>, instance: Instance) -> Self {
        let memory = Memory::default();
        Self { blueprint, instance: Some(instance), memory, lost: None, peak_bytes: 0 }
    }

    /// A runner whose instance is started when it is needed.
    pub(crate) fn idle(blueprint: Arc<Blueprint>) -> Self {
        Self { blueprint, instance: None, memory: Memory::default(), lost: None, peak_bytes: 0 }
    }

    pub(crate) fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    pub(crate) fn peak_bytes(&self) -> usize {
        let now = self.instance.as_ref().map_or(0, Instance::peak_bytes);
        self.peak_bytes.max(now)
    }

    /// Takes over a state of an earlier run or version.
    pub(crate) fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), Error> {
        let refused = |problem| Error::Restore { plugin: self.blueprint.source.clone(), problem };
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.blueprint.start().map_err(|failure| refused(failure.text))?,
        };
        restore(&mut instance, version, bytes).map_err(|failure| refused(failure.text))?;
        self.memory = Memory::default();
        self.memory.keep(version, bytes.to_vec());
        self.instance = Some(instance);
        Ok(())
    }

    /// Whether it was given the last snapshot of another runner already, and nothing else.
    pub(crate) fn is_primed_for(&self, other: &Runner) -> bool {
        self.instance.is_some()
            && self.memory.since.is_empty()
            && self.memory.snapshot.is_some()
            && self.memory.snapshot == other.memory.snapshot
    }

    /// Judges what the other has judged since their common snapshot.
    pub(crate) fn follow(&mut self, other: &Runner) -> Result<(), Error> {
        for part in &other.memory.since {
            let limit = self.blueprint.limits.batch_time;
            self.judge(part, limit).map_err(|failure| Error::Restore {
                plugin: self.blueprint.source.clone(),
                problem: failure.text,
            })?;
        }
        Ok(())
    }

    /// A loss that nobody has been told of is not forgotten with the instance.
    pub(crate) fn inherit_loss(&mut self, other: &mut Runner) {
        self.lost = self.lost.take().or(other.lost.take());
    }

    /// Takes over the state of another runner of the same detector: its memory, replayed. For a state
    /// that its own version cannot write any more.
    pub(crate) fn rebuild_from(&mut self, other: &Runner) -> Result<(), Error> {
        if let Some((version, bytes)) = &other.memory.snapshot {
            self.restore(*version, bytes)?;
        }
        self.follow(other)
    }

    /// What it remembers, in the format of its state version. Takes the time of a copy.
    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let tried = self.try_snapshot();
        // A guest that fails once may have been at its end; one that fails again cannot be saved.
        if tried.is_ok() { tried } else { self.try_snapshot() }
    }

    fn try_snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let mut instance = self.take_instance()?;
        let bytes = instance.set_up("snapshot", |bindings, store| {
            bindings.audit_host_plugin_state().call_snapshot(store)
        });
        self.note_peak(&instance);
        let bytes = bytes?;
        self.instance = Some(instance);
        self.memory.keep(self.blueprint.state_version, bytes.clone());
        Ok(bytes)
    }

    /// Lets the guest judge some rows and checks its answer. After a failure the guest is as if it had
    /// never seen them.
    pub(crate) fn judge(&mut self, part: &Part, limit: Duration) -> Result<Answer, Failure> {
        let mut instance = self.take_instance()?;
        let judged = call(&self.blueprint, &mut instance, part, limit);
        self.note_peak(&instance);
        let answer = judged?;
        self.instance = Some(instance);
        if self.blueprint.has_state() {
            self.memory.push(part);
            if self.memory.is_full()
                && let Err(failure) = self.snapshot()
            {
                self.lose(&format!("its snapshot failed: {failure}"));
            }
        }
        Ok(answer)
    }

    fn note_peak(&mut self, instance: &Instance) {
        self.peak_bytes = self.peak_bytes.max(instance.peak_bytes());
    }

    /// The instance as it should be. It is given back only after it answered well.
    fn take_instance(&mut self) -> Result<Instance, Failure> {
        if let Some(instance) = self.instance.take() {
            return Ok(instance);
        }
        match self.rebuild() {
            Ok(instance) => Ok(instance),
            Err(_) if !self.blueprint.has_state() => self.blueprint.start(),
            Err(failure) => {
                // The guest does not follow its own past: what it judges from here on must not depend
                // on whether that past can be told again.
                let instance = self.blueprint.start()?;
                self.lose(&format!("its state could not be rebuilt: {failure}"));
                Ok(instance)
            }
        }
    }

    fn rebuild(&self) -> Result<Instance, Failure> {
        let mut instance = self.blueprint.start()?;
        if let Some((version, bytes)) = &self.memory.snapshot {
            restore(&mut instance, *version, bytes)?;
        }
        // Judged once already, so it takes little; a guest that now takes its time is given up.
        let deadline = Instant::now() + self.blueprint.limits.probe_time();
        for part in &self.memory.since {
            if Instant::now() > deadline {
                let text = "judging again what it had judged takes too long";
                return Err(Failure::new(FailureKind::Deadline, text));
            }
            call(&self.blueprint, &mut instance, part, self.blueprint.limits.batch_time)?;
        }
        Ok(instance)
    }

    fn lose(&mut self, why: &str) {
        self.memory = Memory::default();
        self.lost = Some(why.to_owned());
    }
}

fn restore(instance: &mut Instance, version: u32, bytes: &[u8]) -> Result<(), Failure> {
    let answer = instance.set_up("restore", |bindings, store| {
        bindings.audit_host_plugin_state().call_restore(store, version, bytes)
    })?;
    answer.map_err(|refused| {
        let text = match refused {
            state::RestoreError::UnsupportedVersion => {
                format!("it does not know version {version} of the state")
            }
            state::RestoreError::Corrupt(text) => {
                format!("it calls the state corrupt: {}", clipped(&text, MESSAGE_BYTES_MAX))
            }
        };
        Failure::new(FailureKind::Answer, text)
    })
}

/// One call of `process`, and every check of its answer.
fn call(
    blueprint: &Blueprint,
    instance: &mut Instance,
    part: &Part,
    limit: Duration,
) -> Result<Answer, Failure> {
    let answered = |text: String| Failure::new(FailureKind::Answer, text);
    let lowered = lower(&part.columns).map_err(answered)?;
    let params: Vec<_> = lowered.iter().map(Lowered::as_param).collect();
    let rows = u32::try_from(part.rows()).map_err(|_| answered("too many rows".to_owned()))?;
    let batch = types::Batch { rows, columns: &params };
    let Moment { topic, clock, lookups } = &part.moment;
    let context = types::Context { topic, clock: *clock };
    instance.set_batch(topic, *clock, lookups);
    let judged = instance.call("process", limit, |bindings, store| {
        bindings.audit_host_plugin_judge().call_process(store, context, batch)
    })?;
    let judgement = judged.map_err(|of_guest| {
        let (kind, text) = fault(of_guest);
        Failure::new(kind, text)
    })?;
    answer::check(blueprint, topic, part.rows(), judgement).map_err(|problem| {
        answered(clipped(&format!("it answered wrongly: {problem}"), MESSAGE_BYTES_MAX))
    })
}

fn lower(columns: &RecordBatch) -> Result<Vec<Lowered<'_>>, String> {
    let schema = columns.schema_ref();
    let mut lowered = Vec::with_capacity(columns.num_columns());
    for (field, column) in schema.fields().iter().zip(columns.columns()) {
        let name = field.name();
        let one = Lowered::of(name, column.as_ref());
        lowered.push(one.ok_or_else(|| format!("plugins cannot read the type of {name}"))?);
    }
    Ok(lowered)
}
