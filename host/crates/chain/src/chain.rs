//! The plugins in their order.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::{Field, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use audit_core::stage::Chain;
use audit_core::{
    Alert, Batch, ChangeKind, Changes, Counters, DeadLetter, Judged, PluginChange, PluginId,
    PluginState, RawBatch, ReasonClass, Rejected, Severity, TopicPartition, schema,
};
use audit_lookup::Lookups;
use jiff::Timestamp;

use crate::answer;
use crate::bisect::Verdict;
use crate::breaker::Turn;
use crate::control::{ChainControl, Request, Running, View, see};
use crate::error::Error;
use crate::limits::OnError;
use crate::plan;
use crate::plugin::{Blueprint, Plugin};
use crate::slot::{self, Slot};

/// Takes every batch through every plugin. Without plugins rows pass as they are.
pub struct PluginChain {
    pub(crate) slots: Vec<Slot>,
    /// Columns that the transforms added when the run began: the table has them, and no others.
    pub(crate) added: Vec<Field>,
    /// The offset to read next of every partition that is known.
    pub(crate) position: BTreeMap<TopicPartition, i64>,
    pub(crate) news: Changes,
    pub(crate) view: Arc<Mutex<View>>,
    control: ChainControl,
    requests: Receiver<Request>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) lookups: Lookups,
    /// Plugins of whose poison rows an alert was raised in this epoch.
    told: Vec<String>,
}

impl PluginChain {
    /// Checks that the plugins fit together in this order.
    pub fn new(plugins: Vec<Plugin>) -> Result<Self, Error> {
        let blueprints: Vec<&Blueprint> =
            plugins.iter().map(|plugin| plugin.blueprint.as_ref()).collect();
        let added = plan::check(&blueprints)?;
        let (control, requests, view) = ChainControl::new();
        let mut chain = Self {
            slots: plugins.into_iter().map(Slot::new).collect(),
            added,
            position: BTreeMap::new(),
            news: Changes::default(),
            view,
            control,
            requests,
            counters: Arc::default(),
            lookups: Lookups::default(),
            told: Vec::new(),
        };
        chain.show_plugins();
        Ok(chain)
    }

    /// Counts into `counters` from now on.
    #[must_use]
    pub fn counting(mut self, counters: Arc<Counters>) -> Self {
        self.counters = counters;
        self
    }

    /// Exchanges and names these tables and calendars: those that its plugins look things up in.
    #[must_use]
    pub fn looking_up(mut self, lookups: Lookups) -> Self {
        self.lookups = lookups;
        self
    }

    /// By which another thread asks for changes.
    pub fn control(&self) -> ChainControl {
        self.control.clone()
    }

    /// Says where reading starts, so that a change before the first batch names the right offsets.
    pub fn starts_at(&mut self, offsets: &HashMap<TopicPartition, i64>) {
        self.position.extend(offsets.iter().map(|(at, offset)| (at.clone(), *offset)));
    }

    /// Records what became of plugins since another run, whose plugins these were.
    pub fn note_earlier(&mut self, earlier: &[PluginId]) {
        let now: Vec<_> = self.slots.iter().map(|slot| Arc::clone(&slot.blueprint)).collect();
        let before = |name: &str| earlier.iter().find(|id| id.name == name).cloned();
        let reason = "the program was started with it";
        for blueprint in &now {
            match before(&blueprint.id.name) {
                Some(id) if id == blueprint.id => {}
                Some(id) => self.record(ChangeKind::Replaced, blueprint, Some(id), reason),
                None => self.record(ChangeKind::Added, blueprint, None, reason),
            }
        }
        let gone = earlier.iter().filter(|id| now.iter().all(|b| b.id.name != id.name));
        for id in gone {
            let mut change = self.change(ChangeKind::Removed, &id.name, "");
            change.before = Some(id.clone());
            "the program was started without it".clone_into(&mut change.reason);
            self.news.changes.push(change.into());
            let name = &id.name;
            tracing::warn!(plugin = name, "a plugin that ran before is not in the chain any more");
            let message = format!(
                "The plugin {name} judged this group's events before, and the program was started without \
                 it: rows are stored without it from now on. If that is not meant, put its file or its \
                 entry back and restart."
            );
            self.alert(id, "plugin-removed", Severity::High, &message);
        }
    }

    /// Columns that the transforms add to the table.
    pub fn added_columns(&self) -> &[Field] {
        &self.added
    }

    /// Whether any plugin remembers anything between batches.
    pub fn has_detectors(&self) -> bool {
        self.slots.iter().any(|slot| slot.blueprint.is_detector())
    }

    /// The plugins in their order, as `name version`.
    pub fn plugin_names(&self) -> Vec<String> {
        let name = |slot: &Slot| format!("{} {}", slot.name(), slot.blueprint.id.version);
        self.slots.iter().map(name).collect()
    }

    /// The most linear memory that one instance of a plugin had so far, in bytes.
    pub fn peak_bytes(&self) -> usize {
        self.slots.iter().map(Slot::peak_bytes).max().unwrap_or_default()
    }

    /// Takes over what the detectors of an earlier run remembered, by plugin name. A state whose plugin
    /// is not here is left alone: the plugin was taken out of the chain.
    pub fn restore(&mut self, states: &[PluginState]) -> Result<(), Error> {
        for state in states {
            let slot = self.slots.iter_mut().find(|slot| slot.name() == state.plugin.name);
            if let Some(slot) = slot {
                slot.restore(state)?;
            }
        }
        Ok(())
    }

    pub(crate) fn show_plugins(&mut self) {
        let running = |slot: &Slot| Running {
            origin: slot.blueprint.origin.clone(),
            id: slot.blueprint.id.clone(),
        };
        let shadows = self
            .slots
            .iter()
            .filter_map(|slot| Some((slot.name().to_owned(), slot.shadow.as_ref()?.report())));
        let mut view = see(&self.view);
        view.running = self.slots.iter().map(running).collect();
        view.shadows = shadows.collect();
    }

    /// A change as of now.
    pub(crate) fn change(&self, kind: ChangeKind, plugin: &str, origin: &str) -> PluginChange {
        PluginChange {
            kind,
            plugin: plugin.to_owned(),
            source: origin.to_owned(),
            at: now(),
            before: None,
            after: None,
            from: self.position.clone(),
            reason: String::new(),
        }
    }

    /// Records a change whose outcome is the plugin as it is described.
    pub(crate) fn record(
        &mut self,
        kind: ChangeKind,
        after: &Blueprint,
        before: Option<PluginId>,
        reason: &str,
    ) {
        let mut change = self.change(kind, &after.id.name, &after.origin);
        change.before = before;
        change.after = Some(after.id.clone());
        reason.clone_into(&mut change.reason);
        self.news.changes.push(change.into());
    }

    /// What a slot's judgement says of the plugin itself.
    fn take_note(&mut self, idx: usize, judged: &slot::Judged) {
        let Some(slot) = self.slots.get(idx) else { return };
        let blueprint = Arc::clone(&slot.blueprint);
        let name = &blueprint.id.name;
        let verdict = &judged.verdict;
        Counters::add(&self.counters.plugin_failures, verdict.n_failures);
        Counters::add(&self.counters.plugin_poison_rows, verdict.poison.len() as u64);
        Counters::add(&self.counters.plugin_breaker_batches, u64::from(!judged.asked));
        for why in &judged.lost {
            self.tell_lost(&blueprint, why);
        }
        match (judged.turn, &verdict.tripped) {
            (Turn::Opened, Some(why)) => {
                tracing::error!(plugin = name, why, "the breaker of a plugin opened");
                let pause = blueprint.limits.breaker_pause;
                let message = format!(
                    "The plugin {name} is not asked for {pause:?} at a time: {why}. Rows become {} \
                     meanwhile. Exchange the plugin or its configuration.",
                    if blueprint.on_error == OnError::Pass {
                        "unjudged rows"
                    } else {
                        "dead letters"
                    }
                );
                self.alert(&blueprint.id, "plugin-breaker", Severity::Critical, &message);
                let id = Some(blueprint.id.clone());
                self.record(ChangeKind::BreakerOpened, &blueprint, id, why);
            }
            (Turn::Closed, _) => {
                tracing::info!(plugin = name, "the plugin judges again");
                let id = Some(blueprint.id.clone());
                self.record(ChangeKind::BreakerClosed, &blueprint, id, "it judged a whole batch");
            }
            _ => {}
        }
        if let Some(why) = verdict.poison.values().next()
            && verdict.tripped.is_none()
            && judged.asked
            && !self.told.contains(name)
        {
            self.told.push(name.clone());
            tracing::warn!(
                plugin = name,
                rows = verdict.poison.len(),
                why,
                "a plugin failed on rows"
            );
            let message = format!(
                "The plugin {name} could not judge {} rows of a batch: {why}. They are kept as the \
                 configuration says (on-error).",
                verdict.poison.len()
            );
            self.alert(&blueprint.id, "plugin-fault", Severity::High, &message);
        }
    }

    fn tell_lost(&mut self, blueprint: &Blueprint, why: &str) {
        let name = &blueprint.id.name;
        Counters::add(&self.counters.plugin_states_lost, 1);
        tracing::error!(plugin = name, why, "a detector lost what it remembered");
        let message = format!(
            "The detector {name} lost what it remembered ({why}): what began before now may go \
             unnoticed. Exchange the plugin."
        );
        self.alert(&blueprint.id, "detector-state-lost", Severity::High, &message);
        self.record(ChangeKind::StateLost, blueprint, Some(blueprint.id.clone()), why);
    }

    pub(crate) fn alert(
        &mut self,
        plugin: &PluginId,
        rule: &str,
        severity: Severity,
        message: &str,
    ) {
        let message = answer::clipped(message, answer::MESSAGE_BYTES_MAX);
        let alert = answer::host_alert(plugin, rule, severity, message, now());
        self.news.alerts.push(alert);
    }
}

/// Microseconds since 1970 by the host's clock.
fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A batch between two plugins.
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
        self.columns = answer::replace_columns(plugin, &self.columns, columns)?;
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
        self.columns = answer::without(&self.columns, &out)?;
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
            Some(format!("from {}[{partition}]@{offset} on", raw.topic))
        };
        Error::Halted {
            plugin: plugin.source.clone(),
            n_rows: poison.len(),
            place: place().unwrap_or_default(),
            problem: problem.to_owned(),
        }
    }
}

impl Chain for PluginChain {
    fn take_changes(&mut self) -> Changes {
        while let Ok(Request { wish, answer }) = self.requests.try_recv() {
            let began = Instant::now();
            let done = self.fulfil(wish, began);
            // Who asked may have gone; what was done stays done.
            drop(answer.send(done));
        }
        self.drain_events()
    }

    fn drain_events(&mut self) -> Changes {
        std::mem::take(&mut self.news)
    }

    fn judge(&mut self, batch: Batch) -> Result<Judged, audit_core::Error> {
        let Batch { raw, columns, record_of_row, rejected } = batch;
        let dead_letters = rejected.into_iter().filter_map(|one| refused(&raw, one)).collect();
        let mut work = Work { columns, record_of_row, dead_letters, alerts: Vec::new() };
        let clock = clock_of(&raw);
        for idx in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(idx) else { break };
            if work.columns.num_rows() == 0 {
                break;
            }
            let began = Instant::now();
            let moment = slot.moment(&raw.topic, clock);
            let judged = slot.judge(&moment, &work.columns)?;
            if let Some(shadow) = &slot.shadow {
                let (columns, time) = (&work.columns, began.elapsed());
                shadow.show(&slot.blueprint, moment, columns, &judged.verdict, time);
            }
            let blueprint = Arc::clone(&slot.blueprint);
            blueprint.check_loss(&judged.lost)?;
            self.take_note(idx, &judged);
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
        self.told.clear();
        let mut states = Vec::new();
        for idx in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(idx) else { break };
            let blueprint = Arc::clone(&slot.blueprint);
            let (kept, lost) = slot.snapshot();
            states.extend(kept);
            blueprint.check_loss(&lost)?;
            for why in lost {
                self.tell_lost(&blueprint, &why);
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

fn refused(raw: &RawBatch, rejected: Rejected) -> Option<DeadLetter> {
    let Rejected { record_idx, class, reason } = rejected;
    DeadLetter::of_record(raw, record_idx, class, reason, None)
}

/// The newest Kafka timestamp of the batch, in microseconds.
fn clock_of(raw: &RawBatch) -> i64 {
    let newest = raw.records.iter().filter_map(|record| record.timestamp_ms).max();
    newest.unwrap_or(0).saturating_mul(1000)
}
