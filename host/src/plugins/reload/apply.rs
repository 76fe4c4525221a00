//! Has the chain swap, and records what was swapped and what was rejected.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use audit_chain::{Done, Place};
use audit_core::text::one_line;
use audit_core::{ChangeKind, KeyMark, PluginChange, PluginId};
use jiff::Timestamp;

use super::diff::{Placed, Plan, Step, ended_shadows, is_settled_shadow, shadow_tag};
use super::prepare::{Assessed, Shadow, tried};
use super::stored::Stored;
use super::workshop::Prepared;
use super::{CONFIGURATION, Reloader};
use crate::config::PluginEntry;
use crate::error::Error;
use crate::exit;
use crate::plugins::admission::{Candidate, admit_reload, required};
use crate::plugins::watch::Cause;

/// The order of the chain, as an origin of what is rejected.
const ARRANGEMENT: &str = "the chain";

/// How long one that was prepared may take for what was judged since: others wait for it.
const CATCH_UP_MAX: Duration = Duration::from_millis(500);

/// A candidate that is in the chain once the chain accepts it.
struct Swapped {
    entry: PluginEntry,
    id: PluginId,
    stored: Stored,
    fingerprint: String,
    marks: Vec<KeyMark>,
    candidate: Candidate,
}

impl Reloader {
    /// Makes the chain what is wanted, as far as candidates are ready.
    pub(super) fn reconcile(&mut self, cause: Cause) {
        // Each turn swaps at least one.
        for _ in 0..=self.wanted.plugins.len() {
            if !self.reconcile_ready(cause) {
                break;
            }
        }
        if self.preparations.is_empty() {
            self.known.is_apart = false;
            self.known.deferred.clear();
        }
    }

    /// Swaps what is ready. Returns whether to look again, as what remains is tried by itself.
    fn reconcile_ready(&mut self, cause: Cause) -> bool {
        let running = self.control.running();
        let mut assessed = Vec::new();
        for entry in self.wanted.plugins.clone() {
            let current = running.iter().find(|plugin| plugin.origin == entry.origin());
            let name = current.map(|plugin| plugin.id.name.clone());
            assessed.push((self.assess(&entry, current), entry, name));
        }
        self.reject_many();
        let is_ready = |(one, ..): &(Assessed, PluginEntry, _)| matches!(one, Assessed::Ready);
        if assessed.iter().any(is_ready) && !self.preparations.wait().is_zero() {
            // What changed together is swapped together.
            return false;
        }
        let mut n_taken = 0;
        let mut places = Vec::new();
        for (one, entry, name) in assessed {
            let is_next = matches!(one, Assessed::Ready) && !(self.known.is_apart && n_taken > 0);
            let taken = if is_next { self.preparations.take(&entry.origin()) } else { None };
            let step = match (one, taken) {
                (_, Some(Ok(prepared))) => {
                    n_taken += 1;
                    Step::Swap(Box::new(prepared))
                }
                (Assessed::Runs, _) => name.map_or(Step::Held(None), Step::Keep),
                _ => Step::Held(name),
            };
            places.push(Placed { entry, step });
        }
        let plan = Plan::new(&running, places);
        for plugin in &plan.unlisted {
            let origin = &plugin.origin;
            let error = Error::Unlisted { origin: origin.clone() }.into();
            self.reject(origin, &plugin.id.name, origin, "not listed", &error);
        }
        if !plan.changes(&running) {
            self.known.rejected.remove(ARRANGEMENT);
            return false;
        }
        self.swap(plan, cause);
        self.known.is_apart && n_taken > 0
    }

    /// Swaps all candidates of the plan between two batches, or none of them.
    fn swap(&mut self, plan: Plan<Box<Prepared>>, cause: Cause) {
        let (mut swapped, mut places) = (Vec::new(), Vec::new());
        for Placed { entry, step } in plan.places {
            match step {
                Step::Keep(name) | Step::Held(Some(name)) => places.push(Place::Keep(name)),
                Step::Swap(mut prepared) => {
                    // Others were prepared since. A failure comes again in the swap, and is reported there.
                    let plugin = &mut prepared.plugin;
                    let _ = self.ask(|control| control.catch_up_within(plugin, CATCH_UP_MAX));
                    let Prepared { plugin, stored, fingerprint, marks, candidate } = *prepared;
                    let id = plugin.id().clone();
                    swapped.push(Swapped { entry, id, stored, fingerprint, marks, candidate });
                    places.push(Place::New(Box::new(plugin)));
                }
                Step::Held(None) => {}
            }
        }
        let required = required(&self.wanted, self.pins.get().as_ref());
        // Known already where only one of the transforms is another.
        let proof = self.control.prove(&places);
        let proof = match proof.and_then(|proof| proof.check(&required).map(|()| proof)) {
            Ok(proof) => proof,
            Err(error) => return self.reject_swap(swapped, &anyhow!(error)),
        };
        let reason = cause.as_str().to_owned();
        match self.ask(|control| control.arrange(places, reason)) {
            // The run has ended.
            None => {}
            Some(Ok(done)) => {
                let candidates = swapped.iter().map(|one| one.candidate.clone());
                admit_reload(candidates, &proof, &self.pins);
                self.record(swapped, done);
            }
            Some(Err(error)) => self.reject_swap(swapped, &anyhow!(error)),
        }
    }

    /// Remembers what runs now.
    fn record(&mut self, swapped: Vec<Swapped>, done: Done) {
        self.known.rejected.remove(ARRANGEMENT);
        for Swapped { entry, id, stored, fingerprint, marks, .. } in swapped {
            stored.keep();
            let pause_us = done.pause.as_micros() as u64;
            tracing::info!(
                plugin = id.name,
                version = id.version,
                sha256 = id.sha256,
                source = entry.path,
                pause_us,
                "plugin loaded"
            );
            self.keys.learn(&marks);
            if !entry.is_bare() {
                self.known.configured.insert(entry.origin());
            }
            self.known.active.insert(entry.origin(), fingerprint);
        }
        let running = self.control.running();
        self.known.active.retain(|origin, _| running.iter().any(|r| r.origin == *origin));
        // Frees the old instances, which takes time.
        drop(done);
    }

    fn reject_swap(&mut self, swapped: Vec<Swapped>, error: &anyhow::Error) {
        if self.preparations.any_pending() {
            // What it needs may be among those that are being prepared.
            let of = |one: Swapped| (one.entry.origin(), one.fingerprint);
            self.known.deferred.extend(swapped.into_iter().map(of));
            return;
        }
        match &swapped[..] {
            [] => {
                let text = one_line(error.as_ref());
                self.reject(ARRANGEMENT, CONFIGURATION, CONFIGURATION, &text, error);
            }
            [Swapped { entry, id, fingerprint, .. }] => {
                let tried = tried(entry, fingerprint);
                self.reject(&entry.origin(), &id.name, &entry.path, &tried, error);
            }
            // Together they do not fit. One that fits alone must not wait for the others.
            _ => self.known.is_apart = true,
        }
    }

    /// Reports once, in the log, as an alert and in the table, why something was not done.
    pub(super) fn reject(
        &mut self,
        origin: &str,
        plugin: &str,
        source: &str,
        fingerprint: &str,
        error: &anyhow::Error,
    ) {
        let before = self.known.rejected.insert(origin.to_owned(), fingerprint.to_owned());
        if before.as_deref() == Some(fingerprint) || !self.turn.is_current() {
            return;
        }
        let reason = recorded(&exit::line(error.as_ref()));
        tracing::error!(
            plugin,
            source,
            reason,
            "plugin reload rejected; keeping the running version"
        );
        let running = self.control.running();
        let current = running.into_iter().find(|running| running.id.name == plugin);
        let change = PluginChange {
            kind: ChangeKind::Refused,
            plugin: plugin.to_owned(),
            source: source.to_owned(),
            at: Timestamp::now().as_microsecond(),
            before: current.map(|running| running.id),
            after: self.read.get(origin).cloned(),
            from: BTreeMap::new(),
            reason,
        };
        if let Some(Err(error)) = self.ask(|control| control.note(change.into())) {
            tracing::warn!(%error, "could not record the rejection");
        }
    }

    /// Starts the shadows that are wanted, restarts those that changed, ends the others.
    pub(super) fn reconcile_shadows(&mut self) {
        for (plugin, file) in self.wanted.shadows.clone() {
            let tag = shadow_tag(&plugin);
            let (fingerprint, shadow) = match self.shadow(&plugin, &file) {
                Ok(found) => found,
                Err(error) => {
                    self.reject(&tag, &plugin, &file, &one_line(error.as_ref()), &error);
                    continue;
                }
            };
            let runs = self.control.shadow_reports().iter().any(|report| report.plugin == plugin);
            if is_settled_shadow(&self.known, &plugin, &tag, &fingerprint, runs) {
                continue;
            }
            match self.start_shadow(&plugin, &file, shadow, &fingerprint) {
                // It is being prepared.
                Ok(None) => {}
                Ok(Some(is_new)) => {
                    if is_new {
                        tracing::info!(plugin, file, "shadow started");
                    }
                    self.known.rejected.remove(&tag);
                    self.known.shadows.insert(plugin, fingerprint);
                }
                Err(error) => self.reject(&tag, &plugin, &file, &fingerprint, &error),
            }
        }
        for plugin in ended_shadows(&self.known, &self.wanted.shadows) {
            self.known.shadows.remove(&plugin);
            let reason = "it is no longer wanted".to_owned();
            drop(self.ask(|control| control.end_shadow(&plugin, reason)));
        }
    }

    /// Whether a shadow was started; `None` if it is not ready. None is started if it is the very component that
    /// runs.
    fn start_shadow(
        &mut self,
        plugin: &str,
        file: &str,
        shadow: Shadow,
        fingerprint: &str,
    ) -> Result<Option<bool>> {
        let current = self.control.running().into_iter().find(|r| r.id.name == plugin);
        if current.as_ref().is_some_and(|current| current.id.sha256 == shadow.source.sha256()) {
            // It was promoted, or never differed.
            return Ok(Some(false));
        }
        let tag = shadow_tag(plugin);
        let assessed =
            self.assess_shadow(&tag, shadow, current.as_ref(), fingerprint.to_owned())?;
        if !matches!(assessed, Assessed::Ready) {
            return Ok(None);
        }
        let Some(prepared) = self.preparations.take(&tag) else { return Ok(None) };
        let Prepared { plugin: mut candidate, stored, .. } = prepared?;
        // Storing its component took time since.
        self.ask(|control| control.catch_up_within(&mut candidate, CATCH_UP_MAX))?;
        let reason = format!("candidate {file}");
        match self.ask(|control| control.start_shadow(plugin, candidate, reason)) {
            None => Ok(Some(false)),
            Some(done) => {
                done?;
                stored.keep();
                Ok(Some(true))
            }
        }
    }
}

/// Bytes that a reason may take in the table's metadata, with all that its quotes become there.
const RECORDED_BYTES_MAX: usize = 2048;

/// A reason as it is recorded: every commit after it carries it along. It is JSON within JSON there, where a quote or
/// a backslash takes four bytes.
fn recorded(reason: &str) -> String {
    let mut n_bytes = 0;
    let end = reason.char_indices().find(|(_, c)| {
        n_bytes += if matches!(c, '"' | '\\') { 4 } else { c.len_utf8() };
        n_bytes > RECORDED_BYTES_MAX
    });
    match end.and_then(|(end, _)| reason.get(..end)) {
        None => reason.to_owned(),
        Some(cut) => format!("{cut}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_bounded_by_what_it_becomes_in_the_metadata() {
        assert_eq!(recorded("it is \"so\""), "it is \"so\"");
        assert_eq!(recorded(&"x".repeat(2048)).len(), 2048);
        assert_eq!(recorded(&"x".repeat(1 << 20)).len(), 2048 + '…'.len_utf8());
        let quotes = recorded(&"\\\"".repeat(1 << 20));
        let json = serde_json::json!(serde_json::json!(quotes).to_string()).to_string();
        assert!(json.len() < 2100, "{}", json.len());
    }
}
