//! Applies a command between two batches: swaps plugins, starts and ends shadows, replaces lookups.

use std::sync::Arc;
use std::time::Instant;

use audit_core::{Change, ChangeKind, Counters, LookupChange, PluginChange, PluginId, Severity};

use crate::chain::control::{Command, Done, Place};
use crate::chain::shadow::Shadow;
use crate::chain::{PluginChain, host_id, plan};
use crate::error::Error;
use crate::plugin::candidate::Plugin;
use crate::plugin::spec::Blueprint;
use crate::runner::slot::Slot;

/// A position in the next chain.
enum Next {
    Keep(String),
    New(Box<Slot>),
}

impl Next {
    fn name(&self) -> &str {
        match self {
            Self::Keep(name) => name,
            Self::New(slot) => slot.name(),
        }
    }
}

impl PluginChain {
    /// Applies a command, or leaves the chain unchanged.
    pub(super) fn apply(&mut self, command: Command, began: Instant) -> Result<Done, Error> {
        let retired = match command {
            Command::Arrange { places, reason } => self.arrange(places, &reason)?,
            Command::Note(change) => {
                self.note(*change);
                Vec::new()
            }
            Command::ShareLogs { of, to } => {
                let slot = self.slots.iter_mut().find(|slot| slot.name() == of);
                // A plugin that does not run yet has no log, and the requester may be gone.
                let _ = to.send(slot.map_or_else(Vec::new, Slot::share_logs));
                return Ok(Done { pause: began.elapsed(), retired: Vec::new() });
            }
            Command::TakeLookups { set, changes } => {
                self.lookups.replace(*set);
                Counters::add(&self.counters.lookup_changes, changes.len() as u64);
                let from = &self.position;
                let changes = changes.into_iter();
                let changes = changes.map(|change| LookupChange { from: from.clone(), ..change });
                self.events.changes.extend(changes.map(Change::Lookup));
                Vec::new()
            }
            Command::StartShadow { of, candidate, reason } => {
                self.start_shadow(&of, *candidate, &reason)?;
                Vec::new()
            }
            Command::EndShadow { of, reason } => {
                self.end_shadow(&of, &reason)?;
                Vec::new()
            }
        };
        self.publish_view();
        Ok(Done { pause: began.elapsed(), retired })
    }

    fn arrange(&mut self, places: Vec<Place>, reason: &str) -> Result<Vec<Slot>, Error> {
        let mut next =
            places.into_iter().map(|place| self.next_of(place)).collect::<Result<Vec<_>, _>>()?;
        self.check(&next)?;
        for place in &mut next {
            if let Next::New(slot) = place
                && let Some(before) = self.slots.iter_mut().find(|old| old.name() == slot.name())
            {
                slot.take_over(before)?;
            }
        }
        // From here on nothing fails.
        Ok(self.swap(next, reason))
    }

    fn next_of(&self, place: Place) -> Result<Next, Error> {
        match place {
            Place::New(plugin) => Ok(Next::New(Box::new(Slot::new(*plugin)))),
            Place::Keep(name) => {
                self.slot(&name)?;
                Ok(Next::Keep(name))
            }
        }
    }

    fn slot(&self, name: &str) -> Result<&Slot, Error> {
        self.slots.iter().find(|slot| slot.name() == name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.slots.iter().map(Slot::name).collect();
        Error::Unknown { name: name.to_owned(), known: known.join(", ") }
    }

    /// The next chain must work together by itself, and fit the columns of the table.
    fn check(&self, next: &[Next]) -> Result<(), Error> {
        let mut blueprints: Vec<&Blueprint> = Vec::with_capacity(next.len());
        for place in next {
            blueprints.push(match place {
                Next::Keep(name) => &self.slot(name)?.blueprint,
                Next::New(slot) => &slot.blueprint,
            });
        }
        let added = plan::check(&blueprints)?;
        let now: Vec<_> = self.slots.iter().map(|slot| &*slot.blueprint).collect();
        plan::check_replaced(&now, &blueprints)?;
        self.check_order(next)?;
        let new = added.iter().find(|field| !self.added.contains(field));
        let Some(field) = new else { return Ok(()) };
        let by = blueprints
            .iter()
            .find(|blueprint| blueprint.writes.iter().any(|output| output.name == *field.name()));
        Err(Error::NewColumn {
            plugin: by.map_or_else(String::new, |blueprint| blueprint.source.clone()),
            column: field.name().clone(),
            data_type: field.data_type().to_string(),
        })
    }

    /// The table records which plugins judged a row but not their order, so the order is fixed for a run.
    fn check_order(&self, next: &[Next]) -> Result<(), Error> {
        let now: Vec<&str> = self.slots.iter().map(Slot::name).collect();
        let stays = |name: &&str| next.iter().any(|place| place.name() == *name);
        let wanted = next.iter().map(Next::name).filter(|name| now.contains(name));
        if now.iter().copied().filter(stays).eq(wanted) {
            return Ok(());
        }
        let order: Vec<_> = next.iter().map(Next::name).collect();
        Err(Error::Order { now: now.join(", "), wanted: order.join(", ") })
    }

    /// Puts kept and new slots in their order; returns those that are no longer needed.
    fn swap(&mut self, next: Vec<Next>, reason: &str) -> Vec<Slot> {
        let mut old = std::mem::take(&mut self.slots);
        let mut retired = Vec::new();
        for place in next {
            let before = old.iter().position(|slot| slot.name() == place.name());
            let before = before.map(|idx| old.remove(idx));
            let Next::New(mut slot) = place else {
                self.slots.extend(before);
                continue;
            };
            let blueprint = Arc::clone(&slot.blueprint);
            let kind = if before.is_some() { ChangeKind::Replaced } else { ChangeKind::Added };
            let id = before.as_ref().map(|before| before.blueprint.id.clone());
            self.record(kind, &blueprint, id, reason);
            self.events.alerts.extend(slot.take_gained());
            Counters::add(&self.counters.plugin_changes, 1);
            if let Some(mut before) = before {
                if before.is_breaker_open() {
                    let id = Some(before.blueprint.id.clone());
                    let reason = "another version or configuration replaced it";
                    self.record(ChangeKind::BreakerClosed, &blueprint, id, reason);
                }
                slot.inherit_losses(&mut before);
                self.end_promoted_shadow(&blueprint);
                retired.push(before);
            }
            self.slots.push(*slot);
        }
        for gone in old {
            self.shadows.remove(gone.name());
            let mut change = self.change(ChangeKind::Removed, gone.name(), &gone.blueprint.origin);
            change.before = Some(gone.blueprint.id.clone());
            reason.clone_into(&mut change.reason);
            self.events.changes.push(change.into());
            Counters::add(&self.counters.plugin_changes, 1);
            retired.push(gone);
        }
        retired
    }

    /// A candidate that became the plugin has nothing left to be compared with; any other shadow stays.
    fn end_promoted_shadow(&mut self, live: &Blueprint) {
        let is_promoted = |shadow: &Shadow| shadow.blueprint.id == live.id;
        if self.shadows.get(&live.id.name).is_some_and(is_promoted) {
            self.shadows.remove(&live.id.name);
            let id = live.id.clone();
            self.record_shadow(ChangeKind::ShadowEnded, live, id, "it was promoted");
        }
    }

    /// Records a rejected reload and raises an alert.
    fn note(&mut self, change: Change) {
        let change = match change {
            Change::Plugin(change) => PluginChange { from: self.position.clone(), ..change },
            Change::Lookup(change) => return self.note_lookup(change),
        };
        Counters::add(&self.counters.plugin_refusals, 1);
        let running = self.slots.iter().find(|slot| slot.name() == change.plugin);
        let id = running.map(|slot| slot.blueprint.id.clone());
        let message = format!(
            "A reload of the plugin {} ({}) was rejected, the running version is kept: {}",
            change.plugin, change.source, change.reason
        );
        self.alert(&id.unwrap_or_else(host_id), "plugin-refused", Severity::High, &message);
        self.events.changes.push(change.into());
    }

    fn note_lookup(&mut self, change: LookupChange) {
        let change = LookupChange { from: self.position.clone(), ..change };
        Counters::add(&self.counters.lookup_refusals, 1);
        let message = format!(
            "A reload of the lookup {} ({}) was rejected, plugins keep using the previous version: {}",
            change.lookup, change.source, change.reason
        );
        self.alert(&host_id(), "lookup-refused", Severity::High, &message);
        self.events.changes.push(change.into());
    }

    fn start_shadow(&mut self, of: &str, candidate: Plugin, reason: &str) -> Result<(), Error> {
        self.slot(of)?;
        // The candidate must also fit in place of the live plugin, or it could never be promoted.
        let blueprints: Vec<&Blueprint> = self
            .slots
            .iter()
            .map(|slot| if slot.name() == of { &*candidate.blueprint } else { &*slot.blueprint })
            .collect();
        plan::check(&blueprints)?;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.name() == of) else {
            return Err(self.unknown(of));
        };
        let shadow = Shadow::start(candidate, slot)?;
        let (live, id) = (Arc::clone(&slot.blueprint), shadow.blueprint.id.clone());
        if let Some(before) = self.shadows.insert(of.to_owned(), shadow) {
            let before = before.blueprint.id.clone();
            self.record_shadow(
                ChangeKind::ShadowEnded,
                &live,
                before,
                "another candidate replaced it",
            );
        }
        self.record_shadow(ChangeKind::ShadowStarted, &live, id, reason);
        Ok(())
    }

    fn end_shadow(&mut self, of: &str, reason: &str) -> Result<(), Error> {
        let live = Arc::clone(&self.slot(of)?.blueprint);
        let Some(shadow) = self.shadows.remove(of) else {
            return Err(Error::NoShadow { name: of.to_owned() });
        };
        self.record_shadow(ChangeKind::ShadowEnded, &live, shadow.blueprint.id.clone(), reason);
        Ok(())
    }

    /// Records a change of the shadow `after` of the plugin `live`.
    fn record_shadow(&mut self, kind: ChangeKind, live: &Blueprint, after: PluginId, reason: &str) {
        let mut change = self.change(kind, &live.id.name, &live.origin);
        change.before = Some(live.id.clone());
        change.after = Some(after);
        reason.clone_into(&mut change.reason);
        self.events.changes.push(change.into());
    }
}
