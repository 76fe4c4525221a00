//! One instance and what it remembers, kept so that it can be rebuilt exactly after a failure.
//!
//! A guest that failed is thrown away: nothing is known of its memory any more. A transform is simply
//! started again. A detector gets its last snapshot back and then every batch that it has judged since,
//! whose answers are known already and dropped. So its state is always that of the rows that it judged
//! well, each once and in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use audit_core::Alert;

use crate::abi::audit_host::plugin::types;
use crate::abi::{Lowered, state};
use crate::answer::{self, Answer, MESSAGE_BYTES_MAX, clipped};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::instance::Instance;
use crate::memory::{Memory, Moment, Part};
use crate::plugin::{Blueprint, fault};
use crate::shadow::{Finding, finding};
use crate::words::without_values;

/// One instance of a plugin.
pub(crate) struct Runner {
    pub(crate) blueprint: Arc<Blueprint>,
    instance: Option<Instance>,
    memory: Memory,
    /// Set when a state could not be rebuilt, with why; taken by whoever reports it.
    lost: Option<String>,
    /// What it found in the past of another version that this one had not; taken at the exchange.
    gained: Vec<Alert>,
    /// Whether its last snapshot failed: it is not asked for one for the sake of another instance.
    cannot_be_saved: bool,
    peak_bytes: usize,
}

impl Runner {
    pub(crate) fn new(blueprint: Arc<Blueprint>, instance: Instance) -> Self {
        Self { instance: Some(instance), ..Self::idle(blueprint) }
    }

    /// A runner whose instance is started when it is needed.
    pub(crate) fn idle(blueprint: Arc<Blueprint>) -> Self {
        Self {
            blueprint,
            instance: None,
            memory: Memory::default(),
            lost: None,
            gained: Vec::new(),
            cannot_be_saved: false,
            peak_bytes: 0,
        }
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
        let started = self.start_with(Some((version, bytes)));
        started.map_err(|failure| self.refused_for(failure.with_words()))?;
        self.memory = Memory::beginning_with(version, bytes.into());
        Ok(())
    }

    /// What another instance can be brought here by; that one has `time` before this one drops any of it.
    pub(crate) fn lend(&mut self, time: Duration) -> Memory {
        if self.memory.snapshot().is_none() {
            // Whether a version takes the state must not depend on whether an epoch has ended. One that
            // cannot be saved is told again from its beginning.
            self.save_if_it_can();
        }
        self.memory.hold(time);
        self.memory.clone()
    }

    /// Goes to where another instance of the detector is: judges what that one has judged since it was
    /// last there, or since its last snapshot. What this version finds on the way and the other did not
    /// is kept: what it takes for told must be told.
    ///
    /// With `until` it is given up where that has passed and something is left to be judged.
    pub(crate) fn follow(&mut self, other: &Memory, until: Option<Instant>) -> Result<(), Error> {
        if self.memory.missing_of(other).is_none() {
            let snapshot = other.snapshot();
            let started = self.start_with(snapshot.map(|(version, bytes)| (version, &**bytes)));
            // Without the guest's words: they are about events.
            started.map_err(|failure| self.refused_for(failure.to_string()))?;
            self.memory = Memory::at_snapshot_of(other);
            self.gained.clear();
            self.lost = None;
        }
        self.memory.hold_like(other);
        if !other.is_read_by(&self.blueprint.reads) {
            let text =
                "it reads other columns than the version that runs, whose state cannot be saved";
            return Err(self.refused_for(text.to_owned()));
        }
        let missing = self.memory.missing_of(other).unwrap_or_default();
        for (n_judged, past) in missing.iter().enumerate() {
            if until.is_some_and(|until| Instant::now() > until) {
                let text = format!(
                    "it is slower than the stream: at the exchange it had {} batches to judge, and was at \
                     the {n_judged}th when its time was over (twice batch-time)",
                    missing.len()
                );
                return Err(self.refused_for(text));
            }
            let limit = self.blueprint.limits.batch_time;
            let answer = self.judge(&past.part, limit);
            let answer = answer.map_err(|failure| self.refused_for(failure.to_string()))?;
            self.gained.extend(answer.alerts);
        }
        // Two versions may find the same a batch apart.
        let known: BTreeSet<&Finding> = other.since().iter().flat_map(|p| &*p.findings).collect();
        self.gained.retain(|alert| !known.contains(&finding(alert)));
        // A state that was lost on the way must not take the place of one that is whole.
        if self.memory.missing_of(other).is_some_and(<[_]>::is_empty) {
            return Ok(());
        }
        let why = self.lost.take().unwrap_or_else(|| "its state was lost".to_owned());
        Err(self.refused_for(why))
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn take_gained(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.gained)
    }

    /// An instance with that state and nothing else.
    fn start_with(&mut self, state: Option<(u32, &[u8])>) -> Result<(), Failure> {
        if !self.memory.is_untouched() {
            self.instance = None;
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.blueprint.start()?,
        };
        if let Some((version, bytes)) = state {
            restore(&mut instance, version, bytes)?;
        }
        self.instance = Some(instance);
        Ok(())
    }

    fn refused_for(&self, problem: String) -> Error {
        Error::Restore { plugin: self.blueprint.source.clone(), problem }
    }

    pub(crate) fn note_lost(&mut self, why: String) {
        self.lost.get_or_insert(why);
    }

    /// Replaces what was judged since the last snapshot by a new one, for the sake of another instance. A
    /// guest that could not be saved before is not asked: its deadline would hold the stream each time.
    pub(crate) fn save_if_it_can(&mut self) {
        if !self.cannot_be_saved {
            drop(self.snapshot());
        }
    }

    /// What it remembers, in the format of its state version. Takes the time of a copy.
    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let saved = match self.try_snapshot() {
            // It may have been at its end; one that takes its time would take it again.
            Err(failure) if failure.kind != FailureKind::Deadline => self.try_snapshot(),
            saved => saved,
        };
        self.cannot_be_saved = saved.is_err();
        saved
    }

    fn try_snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let mut instance = self.take_instance()?;
        let began = Instant::now();
        let bytes = instance.set_up("snapshot", |bindings, store| {
            bindings.audit_host_plugin_state().call_snapshot(store)
        });
        self.note_peak(&instance);
        let bytes = bytes?;
        self.instance = Some(instance);
        let (version, took) = (self.blueprint.state_version, began.elapsed());
        self.memory.keep(version, bytes.as_slice().into(), took);
        Ok(bytes)
    }

    /// Lets the guest judge some rows and checks its answer. After a failure the guest is as if it had
    /// never seen them.
    pub(crate) fn judge(&mut self, part: &Part, limit: Duration) -> Result<Answer, Failure> {
        let mut instance = self.take_instance()?;
        let began = Instant::now();
        let judged = call(&self.blueprint, &mut instance, part, limit);
        self.note_peak(&instance);
        let answer = match judged {
            Ok(answer) => answer,
            Err(failure) => {
                // An orderly no of one that keeps nothing; asked again, the same instance may say yes.
                if failure.kind == FailureKind::Transient && !self.blueprint.has_state() {
                    self.instance = Some(instance);
                }
                return Err(failure);
            }
        };
        self.instance = Some(instance);
        if self.blueprint.has_state() {
            self.memory.push(part, &answer.alerts, began.elapsed());
            if self.memory.is_full(self.blueprint.limits.batch_time)
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
        if let Some((version, bytes)) = self.memory.snapshot() {
            restore(&mut instance, version, bytes)?;
        }
        // Judged once already, so it takes as long as then; a guest that now takes its time is given up.
        let time = self.blueprint.limits.probe_time().max(self.memory.judged_for() * 2);
        let deadline = Instant::now() + time;
        for past in self.memory.since() {
            if Instant::now() > deadline {
                let text = "judging again what it had judged takes too long";
                return Err(Failure::new(FailureKind::Deadline, text));
            }
            call(&self.blueprint, &mut instance, &past.part, self.blueprint.limits.batch_time)?;
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
    answer.map_err(|refused| match refused {
        state::RestoreError::UnsupportedVersion => {
            let text = format!("it does not know version {version} of the state");
            Failure::new(FailureKind::Answer, text)
        }
        state::RestoreError::Corrupt(text) => {
            Failure::told(FailureKind::Answer, "it calls the state corrupt", &text)
        }
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
    let judgement = judged.map_err(fault)?;
    let checked = answer::check(blueprint, topic, part.rows(), judgement);
    let mut answer = checked.map_err(|problem| {
        answered(clipped(&format!("it answered wrongly: {problem}"), MESSAGE_BYTES_MAX))
    })?;
    for (row, why) in &mut answer.quarantined {
        *why = without_values(why, &part.columns, *row as usize);
    }
    Ok(answer)
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
