//! Has the chain swap, and records what was swapped and what was rejected.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use audit_chain::{Done, Place, PluginSource};
use audit_core::text::one_line;
use audit_core::{ChangeKind, KeyMark, PluginChange, PluginId};
use jiff::Timestamp;

use super::diff::{Placed, Plan, Step, ended_shadows, is_settled_shadow};
use super::prepare::Prepared;
use super::{CONFIGURATION, Reloader};
use crate::config::PluginEntry;
use crate::error::Error;
use crate::exit;
use crate::plugins::watch::Cause;

/// The order of the chain, as an origin of what is rejected.
const ARRANGEMENT: &str = "the chain";

/// A candidate that is in the chain once the chain accepts it.
struct Swapped {
    entry: PluginEntry,
    id: PluginId,
    fingerprint: String,
    marks: Vec<KeyMark>,
}

impl Reloader {
    /// Makes the chain what is wanted. With `only` every other plugin stays as it is.
    pub(super) fn reconcile(&mut self, cause: Cause, only: Option<&str>) {
        let running = self.control.running();
        let mut places = Vec::new();
        for entry in self.wanted.plugins.clone() {
            let current = running.iter().find(|plugin| plugin.origin == entry.origin());
            let step = if only.is_none_or(|only| only == entry.origin()) {
                self.step(&entry, current)
            } else {
                Step::Held(current.map(|plugin| plugin.id.name.clone()))
            };
            places.push(Placed { entry, step });
        }
        let plan = Plan::new(&running, places);
        for plugin in &plan.unlisted {
            let origin = &plugin.origin;
            let error = Error::Unlisted { origin: origin.clone() }.into();
            self.reject(origin, &plugin.id.name, origin, "not listed", &error);
        }
        if plan.changes(&running) {
            self.swap(plan, cause);
        } else {
            self.known.rejected.remove(ARRANGEMENT);
        }
    }

    /// Swaps all candidates of the plan between two batches, or none of them.
    fn swap(&mut self, plan: Plan<Box<Prepared>>, cause: Cause) {
        let is_whole = plan.is_whole();
        let (mut swapped, mut places) = (Vec::new(), Vec::new());
        for Placed { entry, step } in plan.places {
            match step {
                Step::Keep(name) | Step::Held(Some(name)) => places.push(Place::Keep(name)),
                Step::Swap(mut prepared) => {
                    // Others were prepared since. A failure comes again in the swap, and is reported there.
                    let _ = self.control.catch_up(&mut prepared.plugin);
                    let id = prepared.plugin.id().clone();
                    let (fingerprint, marks) = (prepared.fingerprint, prepared.marks);
                    swapped.push(Swapped { entry, id, fingerprint, marks });
                    places.push(Place::New(Box::new(prepared.plugin)));
                }
                Step::Held(None) => {}
            }
        }
        let reason = cause.as_str().to_owned();
        let done = if is_whole {
            self.control.arrange(places, reason)
        } else {
            self.control.arrange_partly(places, reason)
        };
        match done {
            // The run has ended.
            None => {}
            Some(Ok(done)) => self.record(swapped, done),
            Some(Err(error)) => self.reject_swap(swapped, cause, &anyhow!(error)),
        }
    }

    /// Remembers what runs now.
    fn record(&mut self, swapped: Vec<Swapped>, done: Done) {
        self.known.rejected.remove(ARRANGEMENT);
        for Swapped { entry, id, fingerprint, marks } in swapped {
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

    fn reject_swap(&mut self, swapped: Vec<Swapped>, cause: Cause, error: &anyhow::Error) {
        match &swapped[..] {
            [] => {
                let text = one_line(error.as_ref());
                self.reject(ARRANGEMENT, CONFIGURATION, CONFIGURATION, &text, error);
            }
            [Swapped { entry, id, fingerprint, .. }] => {
                self.reject(&entry.origin(), &id.name, &entry.path, fingerprint, error);
            }
            // Together they do not fit. One that fits alone must not wait for the others.
            _ => {
                for Swapped { entry, .. } in swapped {
                    self.reconcile(cause, Some(&entry.origin()));
                }
            }
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
        if before.as_deref() == Some(fingerprint) {
            return;
        }
        let reason = exit::line(error.as_ref());
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
            after: None,
            from: BTreeMap::new(),
            reason,
        };
        if let Some(Err(error)) = self.control.note(change.into()) {
            tracing::warn!(%error, "could not record the rejection");
        }
    }

    /// Starts the shadows that are wanted, restarts those that changed, ends the others.
    pub(super) fn reconcile_shadows(&mut self) {
        for (plugin, file) in self.wanted.shadows.clone() {
            let tag = format!("shadow of {plugin}");
            let (fingerprint, source) = match self.shadow_source(&plugin, &file) {
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
            match self.start_shadow(&plugin, &file, &source) {
                Ok(is_new) => {
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
            drop(self.control.end_shadow(&plugin, "it is no longer wanted".to_owned()));
        }
    }

    /// Whether a shadow was started. None is if it is the very component that runs.
    fn start_shadow(&self, plugin: &str, file: &str, source: &PluginSource) -> Result<bool> {
        let current = self.control.running().into_iter().find(|r| r.id.name == plugin);
        if current.as_ref().is_some_and(|current| current.id.sha256 == source.sha256()) {
            // It was promoted, or never differed.
            return Ok(false);
        }
        let mut candidate = self.prepare(source, current.as_ref())?;
        // Storing its component took time since.
        self.control.catch_up(&mut candidate)?;
        match self.control.start_shadow(plugin, candidate, format!("candidate {file}")) {
            None => Ok(false),
            Some(done) => Ok(done.map(|_| true)?),
        }
    }
}
