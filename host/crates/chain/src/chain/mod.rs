//! The chain: the plugins in their order, and the record of what happens to them. `judge` passes batches
//! through it, `reload` changes it between two batches.

pub(crate) mod plan;

pub(crate) mod canary;
pub(crate) mod proofs;

pub(crate) mod control;
mod reload;
pub(crate) mod shadow;

mod outcome;

mod judge;

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use arrow::datatypes::Field;
use audit_core::{
    Alert, ChangeKind, Changes, Counters, PluginChange, PluginId, PluginState, Severity,
    TopicPartition,
};
use audit_lookup::Lookups;
use jiff::Timestamp;

use crate::chain::control::{ChainControl, Request, Running, View, lock_view};
use crate::chain::shadow::Shadow;
use crate::error::Error;
use crate::plugin::candidate::Plugin;
use crate::plugin::output::alert_id;
use crate::plugin::spec::Blueprint;
use crate::runner::halvings::Halvings;
use crate::runner::slot::Slot;
use crate::text;

/// Passes every batch through every plugin. Without plugins rows stay as they are.
pub struct PluginChain {
    slots: Vec<Slot>,
    /// The shadows, by the name of the plugin that they run beside.
    shadows: BTreeMap<String, Shadow>,
    /// Columns that the transforms added when the run began: the table has these and no others.
    added: Vec<Field>,
    /// The offset to read next of every known partition.
    position: BTreeMap<TopicPartition, i64>,
    /// Changes and alerts that the pipeline has not taken yet.
    events: Changes,
    view: Arc<Mutex<View>>,
    control: ChainControl,
    requests: Receiver<Request>,
    counters: Arc<Counters>,
    lookups: Lookups,
    /// Plugins whose poison rows raised an alert in this epoch: one alert is enough.
    alerted: Vec<String>,
    /// By plugin what was cut up in this epoch.
    halvings: BTreeMap<String, Halvings>,
}

impl PluginChain {
    /// Checks that the plugins work together in this order.
    pub fn new(plugins: Vec<Plugin>) -> Result<Self, Error> {
        let blueprints: Vec<&Blueprint> =
            plugins.iter().map(|plugin| plugin.blueprint.as_ref()).collect();
        let added = plan::check(&blueprints)?;
        let (control, requests, view) = ChainControl::new();
        let mut chain = Self {
            slots: plugins.into_iter().map(Slot::new).collect(),
            shadows: BTreeMap::new(),
            added,
            position: BTreeMap::new(),
            events: Changes::default(),
            view,
            control,
            requests,
            counters: Arc::default(),
            lookups: Lookups::default(),
            alerted: Vec::new(),
            halvings: BTreeMap::new(),
        };
        chain.publish_view();
        Ok(chain)
    }

    /// Counts into `counters` from now on.
    #[must_use]
    pub fn counting(mut self, counters: Arc<Counters>) -> Self {
        self.counters = counters;
        self
    }

    /// The tables and calendars of its plugins. The chain replaces them on command.
    #[must_use]
    pub fn looking_up(mut self, lookups: Lookups) -> Self {
        self.lookups = lookups;
        self
    }

    /// The handle by which another thread controls the chain.
    pub fn control(&self) -> ChainControl {
        self.control.clone()
    }

    /// Sets where reading starts, so that a change before the first batch names the right offsets.
    pub fn starts_at(&mut self, offsets: &HashMap<TopicPartition, i64>) {
        self.position.extend(offsets.iter().map(|(at, offset)| (at.clone(), *offset)));
    }

    /// Records that a start was refused, which this chain is not the chain of.
    pub fn note_refused_start(&mut self, change: PluginChange) {
        let message = format!(
            "A start of the program was refused: {}. Nothing is read until it starts.",
            change.reason
        );
        self.alert(&host_id(), "start-refused", Severity::High, &message);
        self.events.changes.push(change.into());
    }

    /// Records that columns may be stored as they come from now on, because a person said so.
    pub fn note_unredacted(&mut self, columns: &[String]) {
        let host = host_id();
        for column in columns {
            let mut change = self.change(ChangeKind::UnredactedAllowed, &host.name, column);
            change.reason = format!("the program was started with --allow-unredacted {column}");
            tracing::warn!(column, "a column no longer has to be replaced (--allow-unredacted)");
            let message = format!(
                "The column {column} of this group's events had to be replaced until now. The program was \
                 started with --allow-unredacted {column}: from now on its values may be stored as they come. \
                 If this is not intended, start it without, and with the configuration of before."
            );
            self.events.changes.push(change.into());
            self.alert(&host, "unredacted-allowed", Severity::Critical, &message);
        }
    }

    /// Records, by plugin, the settings that are gone because a person said so.
    pub fn note_lost_settings(&mut self, lost: &[(String, String)]) {
        for (plugin, keys) in lost {
            let mut change = self.change(ChangeKind::UnredactedAllowed, plugin, "");
            change.reason =
                format!("the program was started with --allow-lost-settings {plugin}: {keys}");
            tracing::warn!(plugin, keys, "settings of a plugin are gone (--allow-lost-settings)");
            let message = format!(
                "The program was started with --allow-lost-settings {plugin}: it no longer has {keys}, and may \
                 store what it was told to hide. If this is not intended, start it without, and with the \
                 configuration of before."
            );
            self.events.changes.push(change.into());
            self.alert(&host_id(), "unredacted-allowed", Severity::Critical, &message);
        }
    }

    /// Records how the plugins differ from those of the previous run, `earlier`.
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
            self.events.changes.push(change.into());
            let name = &id.name;
            tracing::warn!(plugin = name, "a plugin of the previous run is no longer in the chain");
            let message = format!(
                "The plugin {name} judged this group's events before, and the program was started without \
                 it: rows are stored without it from now on. If this is not intended, restore its file or \
                 its entry and restart."
            );
            self.alert(id, "plugin-removed", Severity::High, &message);
        }
    }

    /// Columns that the transforms add to the table.
    pub fn added_columns(&self) -> &[Field] {
        &self.added
    }

    /// Whether any plugin keeps state between batches.
    pub fn has_detectors(&self) -> bool {
        self.slots.iter().any(|slot| slot.blueprint.is_detector())
    }

    /// The plugins in their order, as `name version`.
    pub fn plugin_names(&self) -> Vec<String> {
        let name = |slot: &Slot| format!("{} {}", slot.name(), slot.blueprint.id.version);
        self.slots.iter().map(name).collect()
    }

    /// The highest use of linear memory of any instance so far, in bytes.
    pub fn peak_bytes(&self) -> usize {
        self.slots.iter().map(Slot::peak_bytes).max().unwrap_or_default()
    }

    /// By plugin how often its batches were cut up since this was last asked, or since the last snapshot,
    /// which logs it.
    pub fn take_halvings(&mut self) -> BTreeMap<String, Halvings> {
        std::mem::take(&mut self.halvings)
    }

    /// Restores the states of the detectors of an earlier run, by plugin name. A state without a plugin is
    /// ignored: the plugin was removed from the chain.
    pub fn restore(&mut self, states: &[PluginState]) -> Result<(), Error> {
        for state in states {
            let slot = self.slots.iter_mut().find(|slot| slot.name() == state.plugin.name);
            if let Some(slot) = slot {
                slot.restore(state)?;
            }
        }
        Ok(())
    }

    /// Updates what other threads can see of the chain.
    fn publish_view(&mut self) {
        let running = |slot: &Slot| Running {
            origin: slot.blueprint.origin.clone(),
            id: slot.blueprint.id.clone(),
        };
        let shadows = self.shadows.iter().map(|(plugin, shadow)| (plugin.clone(), shadow.report()));
        let mut view = lock_view(&self.view);
        view.running = self.slots.iter().map(running).collect();
        view.blueprints = self.slots.iter().map(|slot| Arc::clone(&slot.blueprint)).collect();
        view.shadows = shadows.collect();
    }

    /// A change as of now.
    fn change(&self, kind: ChangeKind, plugin: &str, origin: &str) -> PluginChange {
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

    /// Records a change after which the plugin is `after`.
    fn record(
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
        self.events.changes.push(change.into());
    }

    /// Raises an alert of the host about a plugin.
    fn alert(&mut self, plugin: &PluginId, rule: &str, severity: Severity, message: &str) {
        let at = now();
        let key = BTreeMap::from([("plugin".to_owned(), plugin.name.clone())]);
        self.events.alerts.push(Alert {
            id: alert_id(plugin, rule, &key, at),
            rule: rule.to_owned(),
            severity,
            message: text::message(message),
            key,
            window_start: at,
            first_event: at,
            last_event: at,
            count: 1,
            events: Vec::new(),
            labels: BTreeMap::new(),
            plugin: plugin.clone(),
        });
    }
}

/// Microseconds since 1970 by the host's clock.
fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Names the host where the chain has no such plugin.
fn host_id() -> PluginId {
    PluginId {
        name: "audit-host".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: String::new(),
        config_sha256: String::new(),
    }
}
