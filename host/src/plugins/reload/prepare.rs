//! What is known of each plugin that is wanted: it runs, its candidate is being prepared or ready, or it is rejected.

use anyhow::Result;
use audit_chain::{PluginSource, Running};
use audit_core::PluginId;
use audit_core::text::one_line;
use audit_sink::ComponentStore;

use super::Reloader;
use super::diff::{Verdict, verdict};
use super::preparations::{Progress, Size};
use crate::config::{self, PluginEntry};
use crate::error::Error;
use crate::plugins::admission::{check_file, check_grant, folder_name};
use crate::plugins::load::{self, fingerprint};

/// Files that nothing grants, found in one look, that are refused one by one.
const UNGRANTED_MAX: usize = 8;
/// The others, as the origin of what is rejected.
const MANY_FILES: &str = "more files";

/// What is known of a plugin that is wanted.
pub(super) enum Assessed {
    /// It runs as it is wanted.
    Runs,
    /// A candidate is being prepared.
    Pending,
    /// A candidate passed, and is to be taken.
    Ready,
    /// What is wanted was rejected, and that is reported.
    Rejected,
}

/// A candidate that is to run beside a plugin.
pub(super) struct Shadow {
    /// Of the plugin that it runs beside: it may read and write no more.
    pub(super) entry: PluginEntry,
    pub(super) source: PluginSource,
}

/// What identifies a candidate that is rejected. A pin that is written or taken away changes nothing of what runs, but
/// whether a candidate may.
pub(super) fn tried(entry: &PluginEntry, fingerprint: &str) -> String {
    format!("{fingerprint}, pinned: {}", entry.sha256.is_some())
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
    /// What is known of one plugin that is wanted. A candidate begins to be prepared; a rejection is recorded.
    pub(super) fn assess(&mut self, entry: &PluginEntry, current: Option<&Running>) -> Assessed {
        let origin = entry.origin();
        self.read.remove(&origin);
        match self.candidate(entry, current) {
            Ok(assessed) => {
                if !matches!(assessed, Assessed::Pending) {
                    self.known.rejected.remove(&origin);
                }
                assessed
            }
            Err(Rejected { fingerprint, error }) => {
                self.preparations.forget(&origin);
                if self.is_one_of_many(&origin, &fingerprint, &error) {
                    return Assessed::Rejected;
                }
                let shown = current.map_or(entry.path.as_str(), |plugin| plugin.id.name.as_str());
                self.reject(&origin, shown, &entry.path, &fingerprint, &error);
                Assessed::Rejected
            }
        }
    }

    /// Whether so many files that nothing grants came at once that this one is only counted: each refusal is a commit of
    /// the table, and what else is to be reloaded must not wait for thousands.
    fn is_one_of_many(&mut self, origin: &str, fingerprint: &str, error: &anyhow::Error) -> bool {
        let is_ungranted = matches!(error.downcast_ref(), Some(Error::NeedsGrant { .. }));
        let is_known = self.known.rejected.get(origin).is_some_and(|known| known == fingerprint);
        if !is_ungranted || is_known {
            return false;
        }
        self.n_ungranted += 1;
        if self.n_ungranted <= UNGRANTED_MAX {
            return false;
        }
        self.known.rejected.insert(origin.to_owned(), fingerprint.to_owned());
        true
    }

    /// Reports together those that were only counted.
    pub(super) fn reject_many(&mut self) {
        let n_files = self.n_ungranted.saturating_sub(UNGRANTED_MAX);
        self.n_ungranted = self.n_ungranted.min(UNGRANTED_MAX);
        let folder = self.wanted.folder.clone().unwrap_or_default().display().to_string();
        if n_files > 0 {
            self.known.rejected.remove(MANY_FILES);
            let error = Error::ManyFiles { n_files }.into();
            self.reject(MANY_FILES, &folder, &folder, MANY_FILES, &error);
        }
    }

    fn candidate(
        &mut self,
        entry: &PluginEntry,
        current: Option<&Running>,
    ) -> Result<Assessed, Rejected> {
        let origin = entry.origin();
        let pins = self.pins.get();
        let folder = self.wanted.folder.as_deref().map(folder_name);
        check_file(entry, folder.as_deref(), pins.as_ref())
            .and_then(|()| check_grant(entry, &self.wanted.plugins, pins.as_ref()))
            .map_err(Rejected::by_its_text)?;
        let source = load::source(entry, &self.wanted.keys, &self.lookups);
        if let Err(config::Error::OtherComponent { found, .. }) = &source {
            self.note_read(entry, current, found.clone());
        }
        let source = source.map_err(Rejected::by_its_text)?;
        self.note_read(entry, current, source.sha256());
        let fingerprint = fingerprint(entry, &source);
        let tried = tried(entry, &fingerprint);
        let verdict = verdict(&self.known, entry, &fingerprint, &tried);
        match verdict {
            Verdict::Unchanged => {
                self.preparations.forget(&origin);
                return Ok(Assessed::Runs);
            }
            Verdict::Unconfigured => {
                let fingerprint = format!("no configuration: {fingerprint}");
                return Err(Rejected { fingerprint, error: Error::Unconfigured.into() });
            }
            Verdict::RejectedBefore | Verdict::Changed => {}
        }
        self.keys.check(&source.marks()).map_err(Rejected::by_its_text)?;
        if verdict == Verdict::RejectedBefore {
            return Err(Rejected { fingerprint: tried, error: Error::RejectedBefore.into() });
        }
        let prepared = self.prepared(&origin, entry, source, current, fingerprint);
        prepared.map_err(|Rejected { error, .. }| Rejected { fingerprint: tried, error })
    }

    /// How far the candidate is under its tag. It begins, unless it waits for others to be swapped with.
    fn prepared(
        &mut self,
        tag: &str,
        entry: &PluginEntry,
        source: PluginSource,
        current: Option<&Running>,
        fingerprint: String,
    ) -> Result<Assessed, Rejected> {
        let waits = self.known.deferred.get(tag) == Some(&fingerprint);
        match self.preparations.progress(tag, &fingerprint) {
            Progress::Pending => return Ok(Assessed::Pending),
            Progress::Done => return self.ready(tag, fingerprint),
            Progress::Absent if waits && self.preparations.any_pending() => {
                return Ok(Assessed::Pending);
            }
            Progress::Absent => {}
        }
        let (workshop, entry, current) = (self.workshop.clone(), entry.clone(), current.cloned());
        let size = Size { n_bytes: source.component.len(), is_new: current.is_none() };
        let of_work = fingerprint.clone();
        self.preparations.begin(tag, &fingerprint, size, move |cancel| {
            workshop.prepare(&entry, &source, current.as_ref(), of_work, cancel)
        });
        Ok(Assessed::Pending)
    }

    /// Of one that is done: a success stays where it is until it is taken.
    fn ready(&mut self, tag: &str, fingerprint: String) -> Result<Assessed, Rejected> {
        match self.preparations.failure(tag) {
            None => Ok(Assessed::Ready),
            Some(error) => Err(Rejected { fingerprint, error }),
        }
    }

    /// Remembers which component was read, for the case that it is rejected.
    fn note_read(&mut self, entry: &PluginEntry, current: Option<&Running>, sha256: String) {
        let name = current.map_or_else(|| entry.path.clone(), |plugin| plugin.id.name.clone());
        let config_sha256 = ComponentStore::digest(entry.config.as_bytes());
        let read = PluginId { name, version: String::new(), sha256, config_sha256 };
        self.read.insert(entry.origin(), read);
    }

    /// How far the candidate for the shadow of a plugin is.
    pub(super) fn assess_shadow(
        &mut self,
        tag: &str,
        shadow: Shadow,
        current: Option<&Running>,
        fingerprint: String,
    ) -> Result<Assessed> {
        let Shadow { entry, source } = shadow;
        let assessed = self.prepared(tag, &entry, source, current, fingerprint);
        assessed.map_err(|rejected| rejected.error)
    }

    /// The shadow of a plugin, with the configuration of that plugin, and its fingerprint.
    pub(super) fn shadow(&self, plugin: &str, file: &str) -> Result<(String, Shadow)> {
        let running = self.control.running();
        let live = running.iter().find(|running| running.id.name == plugin);
        let Some(live) = live else {
            let known: Vec<_> = running.iter().map(|running| running.id.name.as_str()).collect();
            let (plugin, known) = (plugin.to_owned(), known.join(", "));
            return Err(Error::NothingToShadow { plugin, known }.into());
        };
        let entry = self.wanted.plugins.iter().find(|entry| entry.origin() == live.origin);
        let entry = entry.cloned().unwrap_or_else(|| PluginEntry::plain(file));
        let of_file = PluginEntry { path: file.to_owned(), ..entry.clone() };
        let source = load::source(&of_file, &self.wanted.keys, &self.lookups)?;
        Ok((fingerprint(&of_file, &source), Shadow { entry, source }))
    }
}
