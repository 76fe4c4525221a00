//! Makes a candidate of what is wanted, beside the stream: everything slow, and everything that can be known
//! before the swap.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use audit_chain::{Plugin, PluginSource, Running};
use audit_core::KeyMark;
use audit_core::text::one_line;

use super::Reloader;
use super::diff::{Step, Verdict, verdict};
use crate::config::PluginEntry;
use crate::error::Error;
use crate::golden;
use crate::plugins::load::{self, fingerprint};

/// A candidate that passed.
pub(super) struct Prepared {
    pub(super) plugin: Plugin,
    pub(super) fingerprint: String,
    /// Of the secrets that it may use.
    pub(super) marks: Vec<KeyMark>,
}

/// A candidate that is rejected.
struct Rejected {
    /// Not reported again while it is the same.
    fingerprint: String,
    error: anyhow::Error,
}

impl Rejected {
    /// Where nothing is known of the candidate but what is wrong with it.
    fn by_its_text(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        Self { fingerprint: one_line(error.as_ref()), error }
    }
}

impl Reloader {
    /// The step for one plugin that is wanted. A rejection is recorded.
    pub(super) fn step(
        &mut self,
        entry: &PluginEntry,
        current: Option<&Running>,
    ) -> Step<Box<Prepared>> {
        let origin = entry.origin();
        let name = current.map(|plugin| plugin.id.name.clone());
        match self.candidate(entry, current) {
            Ok(candidate) => {
                self.known.rejected.remove(&origin);
                match candidate {
                    Some(prepared) => Step::Swap(Box::new(prepared)),
                    None => name.map_or(Step::Held(None), Step::Keep),
                }
            }
            Err(Rejected { fingerprint, error }) => {
                let shown = name.as_deref().unwrap_or(&entry.path);
                self.reject(&origin, shown, &entry.path, &fingerprint, &error);
                Step::Held(name)
            }
        }
    }

    /// The candidate at a plugin's place; `None` if it is what runs.
    fn candidate(
        &self,
        entry: &PluginEntry,
        current: Option<&Running>,
    ) -> Result<Option<Prepared>, Rejected> {
        let source = load::source(entry, &self.wanted.keys, &self.lookups);
        let source = source.map_err(Rejected::by_its_text)?;
        let fingerprint = fingerprint(entry, &source);
        let verdict = verdict(&self.known, entry, &fingerprint);
        match verdict {
            Verdict::Unchanged => return Ok(None),
            Verdict::Unconfigured => {
                let fingerprint = format!("no configuration: {fingerprint}");
                return Err(Rejected { fingerprint, error: Error::Unconfigured.into() });
            }
            Verdict::RejectedBefore | Verdict::Changed => {}
        }
        let marks = source.marks();
        self.keys.check(&marks).map_err(Rejected::by_its_text)?;
        if verdict == Verdict::RejectedBefore {
            return Err(Rejected { fingerprint, error: Error::RejectedBefore.into() });
        }
        match self.prepare(&source, current) {
            Ok(plugin) => Ok(Some(Prepared { plugin, fingerprint, marks })),
            Err(error) => Err(Rejected { fingerprint, error }),
        }
    }

    /// Compiles and starts a candidate, runs its own golden cases, has it take the state of the running
    /// version, and keeps its component.
    pub(super) fn prepare(
        &self,
        source: &PluginSource,
        current: Option<&Running>,
    ) -> Result<Plugin> {
        let component = Arc::clone(&source.component);
        let mut plugin = Plugin::load(&self.engine, source.clone())?;
        if let Some(current) = current
            && current.id.name != plugin.id().name
        {
            let (found, running) = (plugin.id().name.clone(), current.id.name.clone());
            return Err(Error::OtherPlugin { found, running }.into());
        }
        golden::prove(&self.engine, source).context("its own golden cases")?;
        // A state that it cannot take over is found out before anything is swapped.
        self.control.catch_up(&mut plugin)?;
        self.runtime
            .block_on(self.components.put(&plugin.id().sha256, &component))
            .context("storing the component beside the table")?;
        Ok(plugin)
    }

    /// The shadow of a plugin, with the configuration of that plugin, and its fingerprint.
    pub(super) fn shadow_source(&self, plugin: &str, file: &str) -> Result<(String, PluginSource)> {
        let running = self.control.running();
        let live = running.iter().find(|running| running.id.name == plugin);
        let Some(live) = live else {
            let known: Vec<_> = running.iter().map(|running| running.id.name.as_str()).collect();
            let (plugin, known) = (plugin.to_owned(), known.join(", "));
            return Err(Error::NothingToShadow { plugin, known }.into());
        };
        let entry = self.wanted.plugins.iter().find(|entry| entry.origin() == live.origin);
        let entry = entry.cloned().unwrap_or_else(|| PluginEntry::plain(file));
        let entry = PluginEntry { path: file.to_owned(), ..entry };
        let source = load::source(&entry, &self.wanted.keys, &self.lookups)?;
        Ok((fingerprint(&entry, &source), source))
    }
}
