//! One instance and its replay log, from which it is rebuilt exactly after a failure.
//!
//! An instance that failed is discarded: nothing is known of its memory any more. A transform is simply
//! started again. A detector restores its last snapshot and replays every part that it has judged since;
//! the output of the replay is known already and dropped. So its state is always that of the rows that it
//! judged successfully, each once and in order.

pub(crate) mod replay;

mod thread_time;

pub(crate) mod breaker;
pub(crate) mod halvings;
pub(crate) mod search;

mod sample;
pub(crate) mod slot;

mod beside;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use audit_core::{Alert, Finding};

use crate::error::Error;
use crate::plugin::output::{self, GuestOutput};
use crate::plugin::spec::Blueprint;
use crate::runner::replay::{BatchContext, CATCH_UP_LEASE, Part, ReplayLog};
use crate::text;
use crate::wasm::abi::audit_host::plugin::types;
use crate::wasm::abi::{Lowered, state};
use crate::wasm::failure::{Failure, FailureKind};
use crate::wasm::instance::Instance;
use crate::wasm::mask::{self, Values};
use crate::wasm::scrub::without_values;

/// One instance of a plugin.
pub(crate) struct Runner {
    pub(crate) blueprint: Arc<Blueprint>,
    instance: Option<Instance>,
    log: ReplayLog,
    /// Why the state was lost, if it was; taken by whoever reports it.
    lost: Option<String>,
    /// Alerts that it raised while it replayed another version's log, and that version did not; taken at the
    /// swap.
    gained: Vec<Alert>,
    /// Whether the last snapshot failed. Then none is taken for the sake of another instance.
    snapshot_fails: bool,
    /// Until when starting, restoring and snapshots may take time of the stream. `None` beside it. A replay has limits
    /// of its own: cutting it short would lose the state.
    until: Option<Instant>,
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
            log: ReplayLog::default(),
            lost: None,
            gained: Vec::new(),
            snapshot_fails: false,
            until: None,
            peak_bytes: 0,
        }
    }

    pub(crate) fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    /// Charges everything from here on to one budget of the stream: a guest that is slow to start, to restore or to
    /// write its state takes no more of it than one that is slow to judge.
    pub(crate) fn charge_to(&mut self, until: Option<Instant>) {
        self.until = until;
        if let Some(instance) = &mut self.instance {
            instance.set_until(until);
        }
    }

    fn is_overdue(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    pub(crate) fn peak_bytes(&self) -> usize {
        let now = self.instance.as_ref().map_or(0, Instance::peak_bytes);
        self.peak_bytes.max(now)
    }

    /// Restores the state of an earlier run or version.
    pub(crate) fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), Error> {
        let bytes: Arc<[u8]> = bytes.into();
        let started = self.start_with(Some((version, &bytes)));
        started.map_err(|failure| self.refused_for(failure.with_message()))?;
        self.log = ReplayLog::starting_from(version, bytes);
        Ok(())
    }

    /// The log by which another instance can reach this state; it stays whole for the lease.
    pub(crate) fn share_log(&mut self) -> ReplayLog {
        if self.log.snapshot().is_none() {
            // Whether a version accepts the state must not depend on whether an epoch has ended. Without a
            // snapshot the other instance replays everything from the beginning.
            self.snapshot_if_possible();
        }
        self.log.lease(CATCH_UP_LEASE);
        self.log.clone()
    }

    /// Reaches the state of another instance of the detector: replays what that one has judged since this
    /// one last caught up, or since its last snapshot. Alerts that this version raises and the other did not
    /// are kept: its state says that they were raised, so they must be.
    ///
    /// With `until` it gives up once that has passed and entries are left.
    pub(crate) fn catch_up_with(
        &mut self,
        other: &ReplayLog,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        self.charge_to(until);
        if self.log.missing_entries(other).is_none() {
            let snapshot = other.snapshot();
            let started = self.start_with(snapshot);
            // Without the guest's message, which is about events.
            started.map_err(|failure| self.refused_for(failure.to_string()))?;
            self.log = ReplayLog::at_snapshot_of(other);
            self.gained.clear();
            self.lost = None;
        }
        self.log.extend_lease_to(other);
        if !other.has_columns(&self.blueprint.reads) {
            let text =
                "it reads other columns than the running version, whose state cannot be saved";
            return Err(self.refused_for(text.to_owned()));
        }
        let missing = self.log.missing_entries(other).unwrap_or_default();
        for (n_judged, entry) in missing.iter().enumerate() {
            if until.is_some_and(|until| Instant::now() > until) {
                let text = format!(
                    "it is slower than the stream: at the swap it had replayed {n_judged} of {} batches when \
                     its time was over (twice batch-time, at most 1 s)",
                    missing.len()
                );
                return Err(self.refused_for(text));
            }
            let limit = self.blueprint.limits.batch_time;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let output = self.judge(&entry.part, left.map_or(limit, |left| left.min(limit)));
            let output = output.map_err(|failure| self.refused_for(failure.to_string()))?;
            self.gained.extend(output.alerts);
        }
        // Two versions may raise the same alert a batch apart.
        let known: BTreeSet<&Finding> = other.entries().iter().flat_map(|e| &*e.findings).collect();
        self.gained.retain(|alert| !known.contains(&alert.finding()));
        // A state that was lost on the way must not replace a whole one.
        if self.log.missing_entries(other).is_some_and(<[_]>::is_empty) {
            return Ok(());
        }
        let why = self.lost.take().unwrap_or_else(|| "its state was lost".to_owned());
        Err(self.refused_for(why))
    }

    /// Marks where a batch begins, until [`Runner::end`] or [`Runner::roll_back`].
    pub(crate) fn begin(&mut self) {
        self.log.begin();
    }

    pub(crate) fn end(&mut self) {
        self.log.end();
    }

    /// As if it had not judged anything of the batch.
    pub(crate) fn roll_back(&mut self) {
        if self.blueprint.has_state() && self.log.roll_back() {
            self.instance = None;
        }
    }

    /// Whether the guest judges some rows; to start it may take until then. Nothing remains of that.
    pub(crate) fn succeeds(&mut self, part: &Part, limit: Duration, until: Instant) -> bool {
        self.charge_to(Some(until));
        let instance = self.take_instance();
        self.charge_to(None);
        let Ok(mut instance) = instance else { return false };
        instance.set_until(None);
        let is_ok = call(&self.blueprint, &mut instance, part, limit).is_ok();
        self.note_peak(&instance);
        if is_ok && !self.blueprint.has_state() {
            self.instance = Some(instance);
        }
        is_ok
    }

    pub(crate) fn log(&self) -> &ReplayLog {
        &self.log
    }

    pub(crate) fn take_gained(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.gained)
    }

    /// Starts with that state and nothing else.
    fn start_with(&mut self, state: Option<(u32, &Arc<[u8]>)>) -> Result<(), Failure> {
        if !self.log.is_fresh() {
            self.instance = None;
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.blueprint.start(self.until)?,
        };
        if let Some((version, bytes)) = state {
            restore(&self.blueprint, &mut instance, version, bytes)?;
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

    /// Takes a snapshot for the sake of another instance, unless the last one failed: a guest that runs
    /// into its deadline would delay the stream each time.
    pub(crate) fn snapshot_if_possible(&mut self) {
        if !self.snapshot_fails {
            drop(self.snapshot());
        }
    }

    /// The state, in the format of its state version.
    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let saved = match self.try_snapshot() {
            // The instance may have been exhausted; a deadline, however, would pass again.
            Err(failure) if failure.kind != FailureKind::Deadline => self.try_snapshot(),
            saved => saved,
        };
        self.snapshot_fails = saved.is_err();
        saved
    }

    fn try_snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        let mut instance = self.take_instance()?;
        instance.set_values(self.values_of_state());
        let began = Instant::now();
        // A state must not be lost because a search left no time: there is always that of a batch.
        let least = began + self.blueprint.limits.batch_time;
        instance.set_until(self.until.map(|until| until.max(least)));
        let bytes = instance.set_up("snapshot", |bindings, store| {
            bindings.audit_host_plugin_state().call_snapshot(store)
        });
        self.note_peak(&instance);
        let bytes = bytes?;
        instance.set_until(self.until);
        self.instance = Some(instance);
        let (version, took) = (self.blueprint.state_version, began.elapsed());
        self.log.truncate(version, bytes.as_slice().into(), took);
        Ok(bytes)
    }

    /// Lets the guest judge some rows and checks its output. After a failure it is as if the guest had never
    /// seen them.
    pub(crate) fn judge(&mut self, part: &Part, limit: Duration) -> Result<GuestOutput, Failure> {
        let mut instance = self.take_instance()?;
        let began = Instant::now();
        let judged = call(&self.blueprint, &mut instance, part, limit);
        self.note_peak(&instance);
        let output = match judged {
            Ok(output) => output,
            Err(failure) => {
                // A returned fault of a plugin without state leaves the instance usable for another try.
                if failure.kind == FailureKind::Transient && !self.blueprint.has_state() {
                    self.instance = Some(instance);
                }
                return Err(failure);
            }
        };
        self.instance = Some(instance);
        if self.blueprint.has_state() {
            self.log.push(part, &output.alerts, began.elapsed());
            if self.log.is_full(self.blueprint.limits.batch_time)
                && let Err(failure) = self.snapshot()
            {
                self.lose(&format!("its snapshot failed: {failure}"));
            }
        }
        Ok(output)
    }

    /// Values that the state may hold as text: those of the last snapshot and of the newest rows.
    fn values_of_state(&self) -> Values {
        let vocabulary = &self.blueprint.vocabulary;
        let newest = self.log.entries().last().map(|entry| &entry.part.columns);
        let values = match self.log.snapshot() {
            Some((_, bytes)) => Values::of_state(bytes, vocabulary),
            None => Values::default(),
        };
        values.and_batch(newest)
    }

    fn note_peak(&mut self, instance: &Instance) {
        self.peak_bytes = self.peak_bytes.max(instance.peak_bytes());
    }

    /// The instance in its right state. It is put back only after a successful call.
    fn take_instance(&mut self) -> Result<Instance, Failure> {
        if let Some(instance) = self.instance.take() {
            return Ok(instance);
        }
        match self.rebuild() {
            Ok(instance) => Ok(instance),
            Err(_) if !self.blueprint.has_state() => self.blueprint.start(self.until),
            // There was no time left for it. The state is still in the log.
            Err(failure) if self.is_overdue() => Err(failure),
            Err(failure) => {
                // The guest fails on its own log. What it judges from here on must not depend on whether a
                // later replay would succeed.
                let instance = self.blueprint.start(self.until)?;
                self.lose(&format!("its state could not be rebuilt: {failure}"));
                Ok(instance)
            }
        }
    }

    fn rebuild(&self) -> Result<Instance, Failure> {
        let mut instance = self.blueprint.start(self.until)?;
        if let Some((version, bytes)) = self.log.snapshot() {
            restore(&self.blueprint, &mut instance, version, bytes)?;
        }
        // The replay should take as long as judging did; a guest that is much slower now is given up.
        let time = self.blueprint.limits.catch_up_time().max(self.log.judging_took() * 2);
        let deadline = Instant::now() + time;
        for entry in self.log.entries() {
            if Instant::now() > deadline {
                let text = "replaying what it had judged takes too long";
                return Err(Failure::new(FailureKind::Deadline, text));
            }
            call(&self.blueprint, &mut instance, &entry.part, self.blueprint.limits.batch_time)?;
        }
        Ok(instance)
    }

    fn lose(&mut self, why: &str) {
        self.log = ReplayLog::default();
        self.lost = Some(why.to_owned());
    }
}

fn restore(
    blueprint: &Blueprint,
    instance: &mut Instance,
    version: u32,
    bytes: &Arc<[u8]>,
) -> Result<(), Failure> {
    let values = Values::of_state(bytes, &blueprint.vocabulary);
    instance.set_values(values.clone());
    let restored = instance.set_up("restore", |bindings, store| {
        bindings.audit_host_plugin_state().call_restore(store, version, bytes)
    })?;
    restored.map_err(|refused| match refused {
        state::RestoreError::UnsupportedVersion => {
            let text = format!("it does not support state version {version}");
            Failure::new(FailureKind::Output, text)
        }
        state::RestoreError::Corrupt(text) => {
            let what = "it reports the state as corrupt";
            Failure::reported(FailureKind::Output, what, &text).without(&values)
        }
    })
}

/// One call of `process`, and every check of its output.
fn call(
    blueprint: &Blueprint,
    instance: &mut Instance,
    part: &Part,
    limit: Duration,
) -> Result<GuestOutput, Failure> {
    let invalid = |text: String| Failure::new(FailureKind::Output, text);
    let lowered = lower(&part.columns).map_err(invalid)?;
    let params: Vec<_> = lowered.iter().map(Lowered::as_param).collect();
    let rows = u32::try_from(part.rows()).map_err(|_| invalid("too many rows".to_owned()))?;
    let batch = types::Batch { rows, columns: &params };
    let BatchContext { topic, clock, lookups } = &part.context;
    let context = types::Context { topic, clock: *clock };
    instance.set_batch(topic, *clock, lookups);
    let values = Values::of_batch(&part.columns, &blueprint.vocabulary);
    instance.set_values(values.clone());
    let judged = instance.call("process", limit, |bindings, store| {
        bindings.audit_host_plugin_judge().call_process(store, context, batch)
    })?;
    instance.set_values(Values::default());
    let judgement = judged.map_err(|fault| Failure::of_fault(fault).without(&values))?;
    let checked = output::check(blueprint, topic, part.rows(), judgement);
    let mut output =
        checked.map_err(|problem| invalid(text::message(&format!("invalid output: {problem}"))))?;
    hide_values(&mut output, &values, &part.columns);
    Ok(output)
}

/// Hides values of the batch in all texts of an output. What an alert says in its key, it may say elsewhere, too: the
/// key is what a detector declares that its alerts are about.
fn hide_values(output: &mut GuestOutput, values: &Values, columns: &RecordBatch) {
    for (row, why) in &mut output.quarantined {
        *why = without_values(why, columns, *row as usize);
    }
    let none = HashSet::new();
    let keys: Vec<_> =
        output.alerts.iter().map(|alert| mask::words_of(alert.key.values())).collect();
    let mut labels: Vec<Vec<(String, String)>> = output
        .alerts
        .iter_mut()
        .map(|alert| std::mem::take(&mut alert.labels).into_iter().collect())
        .collect();
    let mut texts: Vec<_> = output.quarantined.values_mut().map(|why| (why, &none)).collect();
    for ((alert, labels), key) in output.alerts.iter_mut().zip(&mut labels).zip(&keys) {
        texts.extend([(&mut alert.rule, key), (&mut alert.message, key)]);
        texts.extend(labels.iter_mut().flat_map(|(name, value)| [(name, key), (value, key)]));
    }
    values.hide_in(&mut texts);
    for (alert, labels) in output.alerts.iter_mut().zip(labels) {
        alert.labels = labels.into_iter().collect();
    }
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
