//! Exchanges plugins while the host runs.
//!
//! Looks at what is wanted, compares it with what runs, and prepares what differs beside the stream:
//! read, compile, describe, configure, run the component's own golden cases, try the state of the
//! running version. Only then the chain is asked to exchange it between two batches. What does not
//! pass leaves everything as it is, and says why in the log, as an alert and in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use audit_chain::{ChainControl, Engine, Place, Plugin, PluginSource, Running};
use audit_core::{ChangeKind, KeyMark, PluginChange, PluginId};
use audit_lookup::Lookups;
use audit_sink::{ComponentStore, KnownKeys};
use jiff::Timestamp;
use tokio::runtime::Handle;

use super::load::{self, fingerprint};
use super::shadows;
use super::watch::{Cause, Watch};
use crate::config::{KeyEntry, PluginEntry, PluginPlaces, Wanted};
use crate::golden;

/// How often it looks for one reason, if what is to be watched changes each time.
const LOOKS_MAX: usize = 3;
/// How often candidates are reported.
const TICK: Duration = Duration::from_secs(10);

/// Keeps the chain as it is wanted.
pub(crate) struct Reloader {
    pub(crate) engine: Engine,
    pub(crate) control: ChainControl,
    pub(crate) places: PluginPlaces,
    pub(crate) components: ComponentStore,
    pub(crate) runtime: Handle,
    pub(crate) shadow_report: Option<PathBuf>,
    /// What the chain was made of when the run began, by origin.
    pub(crate) active: BTreeMap<String, String>,
    pub(crate) wanted: Wanted,
    /// The tables and calendars that plugins may ask.
    pub(crate) lookups: Lookups,
    /// Keys as the table knows them.
    pub(crate) keys: KnownKeys,
    /// Plugins of which something more than their file was said, by origin.
    pub(crate) configured: BTreeSet<String>,
    /// What was refused already, by origin: not tried, and not told, again until it changes.
    pub(crate) refused: BTreeMap<String, String>,
    /// What runs as a shadow, by plugin.
    pub(crate) shadows: BTreeMap<String, String>,
}

/// A candidate that passed.
struct Prepared {
    plugin: Plugin,
    fingerprint: String,
    /// Of the secrets that it may use.
    marks: Vec<KeyMark>,
}

/// One that was put into the chain, if the chain takes it.
struct Taken {
    entry: PluginEntry,
    id: PluginId,
    fingerprint: String,
    marks: Vec<KeyMark>,
}

/// Why a plugin that is wanted cannot be taken.
struct Unfit {
    /// Not told again while it is the same.
    fingerprint: String,
    error: anyhow::Error,
}

impl Unfit {
    /// Where nothing is known of the plugin but what is wrong with it.
    fn by_its_text(error: anyhow::Error) -> Self {
        Self { fingerprint: format!("{error:#}"), error }
    }
}

/// What is to stand at a place.
enum Step {
    /// The plugin that runs: it is as it is wanted, or nobody wants another one.
    Keep(String),
    Take(Box<Prepared>),
    /// What is wanted cannot be taken: the plugin that runs goes on, if there is one.
    Held(Option<String>),
}

impl Reloader {
    /// Until the run ends.
    pub(crate) fn run(mut self, mut watch: Watch) {
        // Whatever changed since the files were read at the start.
        self.look_and_watch(Cause::File, &mut watch);
        let mut told = Instant::now();
        loop {
            let cause = watch.next(TICK.saturating_sub(told.elapsed()));
            match cause {
                Cause::End => return,
                Cause::Tick => {}
                Cause::File | Cause::Hangup => {
                    if cause == Cause::Hangup {
                        // Asked by a person: whatever was refused is tried once more.
                        self.refused.clear();
                    }
                    self.look_and_watch(cause, &mut watch);
                }
            }
            if told.elapsed() >= TICK {
                told = Instant::now();
                shadows::report(&self.control, self.shadow_report.as_deref());
            }
        }
    }

    /// Watches first: what comes while it looks is an event then. Where a look finds other files to watch,
    /// these may have changed before they were watched, and it looks again.
    fn look_and_watch(&mut self, cause: Cause, watch: &mut Watch) {
        for _ in 0..LOOKS_MAX {
            let files = self.files();
            watch.set_files(files.iter().map(PathBuf::as_path));
            self.look(cause);
            self.look_at_shadows();
            if self.files() == files {
                return;
            }
        }
        watch.set_files(self.files().iter().map(PathBuf::as_path));
    }

    /// Everything whose change means something.
    fn files(&self) -> Vec<PathBuf> {
        let plugins = self.wanted.plugins.iter().filter(|entry| entry.builtin().is_none());
        let paths = plugins.map(|entry| PathBuf::from(&entry.path));
        let shadows = self.wanted.shadows.values().map(PathBuf::from);
        paths
            .chain(shadows)
            .chain(self.wanted.keys.values().flat_map(KeyEntry::files).map(PathBuf::from))
            .chain(self.wanted.lookups.files().map(PathBuf::from))
            .chain(self.places.config.clone())
            .chain(self.wanted.folder.clone())
            .collect()
    }

    fn look(&mut self, cause: Cause) {
        match self.places.look() {
            Ok(wanted) => {
                self.refused.remove(CONFIGURATION);
                self.wanted = wanted;
            }
            Err(error) => {
                let place = self.places.config.as_deref().unwrap_or(Path::new(CONFIGURATION));
                let source = place.display().to_string();
                let error = anyhow!(error);
                self.refuse(CONFIGURATION, CONFIGURATION, &source, &format!("{error:#}"), &error);
                return;
            }
        }
        // First, as a plugin that is taken next may ask for what came with it.
        self.look_at_lookups(cause);
        self.reconcile(cause, None);
    }

    /// Makes the chain what is wanted. With `only` every other plugin stays as it is.
    fn reconcile(&mut self, cause: Cause, only: Option<&str>) {
        let running = self.control.running();
        let mut steps = Vec::new();
        for entry in self.wanted.plugins.clone() {
            let current = running.iter().find(|plugin| plugin.origin == entry.origin());
            let step = if only.is_none_or(|only| only == entry.origin()) {
                self.step(&entry, current)
            } else {
                Step::Held(current.map(|plugin| plugin.id.name.clone()))
            };
            steps.push((entry, step));
        }
        self.keep_unwanted(&running, &mut steps);
        let stays = |(_, step): &(PluginEntry, Step)| match step {
            Step::Keep(name) | Step::Held(Some(name)) => Some(name.clone()),
            Step::Take(_) | Step::Held(None) => None,
        };
        let takes = steps.iter().any(|(_, step)| matches!(step, Step::Take(_)));
        let in_order = running.iter().map(|plugin| plugin.id.name.clone());
        if !takes && in_order.eq(steps.iter().filter_map(stays)) {
            self.refused.remove(ARRANGEMENT);
            return;
        }
        self.arrange(steps, cause);
    }

    fn arrange(&mut self, steps: Vec<(PluginEntry, Step)>, cause: Cause) {
        let is_all = !steps.iter().any(|(_, step)| matches!(step, Step::Held(_)));
        let mut taken = Vec::new();
        let mut places = Vec::new();
        for (entry, step) in steps {
            match step {
                Step::Keep(name) | Step::Held(Some(name)) => places.push(Place::Keep(name)),
                Step::Take(mut prepared) => {
                    // Others were prepared since. A failure comes again in the exchange, and is told there.
                    let _ = self.control.catch_up(&mut prepared.plugin);
                    let id = prepared.plugin.id().clone();
                    let (fingerprint, marks) = (prepared.fingerprint, prepared.marks);
                    taken.push(Taken { entry, id, fingerprint, marks });
                    places.push(Place::New(Box::new(prepared.plugin)));
                }
                Step::Held(None) => {}
            }
        }
        let reason = cause.as_str().to_owned();
        let done = if is_all {
            self.control.arrange(places, reason)
        } else {
            self.control.arrange_partly(places, reason)
        };
        match done {
            // The run has ended.
            None => {}
            Some(Ok(done)) => {
                self.refused.remove(ARRANGEMENT);
                for Taken { entry, id, fingerprint, marks } in taken {
                    let pause_us = done.pause.as_micros() as u64;
                    tracing::info!(
                        plugin = id.name,
                        version = id.version,
                        sha256 = id.sha256,
                        source = entry.path,
                        pause_us,
                        "took a plugin into the chain"
                    );
                    self.keys.learn(&marks);
                    if !entry.is_bare() {
                        self.configured.insert(entry.origin());
                    }
                    self.active.insert(entry.origin(), fingerprint);
                }
                let running = self.control.running();
                self.active.retain(|origin, _| running.iter().any(|r| r.origin == *origin));
                drop(done);
            }
            Some(Err(error)) => {
                let error = anyhow!(audit_core::Error::from(error));
                if taken.is_empty() {
                    let text = format!("{error:#}");
                    self.refuse(ARRANGEMENT, CONFIGURATION, CONFIGURATION, &text, &error);
                }
                if let [Taken { entry, id, fingerprint, .. }] = &taken[..] {
                    self.refuse(&entry.origin(), &id.name, &entry.path, fingerprint, &error);
                } else {
                    // Together they do not fit. One that fits alone must not wait for the others.
                    for Taken { entry, .. } in taken {
                        self.reconcile(cause, Some(&entry.origin()));
                    }
                }
            }
        }
    }

    /// What to do about one plugin that is wanted.
    fn step(&mut self, entry: &PluginEntry, current: Option<&Running>) -> Step {
        let origin = entry.origin();
        let name = current.map(|plugin| plugin.id.name.clone());
        match self.found(entry, current) {
            Ok(found) => {
                self.refused.remove(&origin);
                match found {
                    Some(prepared) => Step::Take(Box::new(prepared)),
                    None => name.map_or(Step::Held(None), Step::Keep),
                }
            }
            Err(Unfit { fingerprint, error }) => {
                let shown = name.as_deref().unwrap_or(&entry.path);
                self.refuse(&origin, shown, &entry.path, &fingerprint, &error);
                Step::Held(name)
            }
        }
    }

    /// The candidate at a plugin's place; `None` if it is what runs.
    fn found(
        &self,
        entry: &PluginEntry,
        current: Option<&Running>,
    ) -> Result<Option<Prepared>, Unfit> {
        let origin = entry.origin();
        let source = load::source(entry, &self.wanted.keys, &self.lookups);
        let source = source.map_err(|error| Unfit::by_its_text(anyhow!(error)))?;
        let fingerprint = fingerprint(entry, &source);
        if self.active.get(&origin) == Some(&fingerprint) {
            return Ok(None);
        }
        // A file that was cut off, or deleted, must not have data stored as it came.
        if entry.is_bare() && self.configured.contains(&origin) {
            let fingerprint = format!("no configuration: {fingerprint}");
            let error = anyhow!(
                "nothing configures it any more (its configuration was emptied, cut off or deleted); the \
                 plugin goes on as it was configured: put that back, or restart to take it without"
            );
            return Err(Unfit { fingerprint, error });
        }
        let marks = source.marks();
        let known = self.keys.check(&marks).map_err(audit_core::Error::from);
        known.map_err(|error| Unfit::by_its_text(anyhow!(error)))?;
        if self.refused.get(&origin) == Some(&fingerprint) {
            return Err(Unfit { fingerprint, error: anyhow!("refused before") });
        }
        match self.prepare(&source, current) {
            Ok(plugin) => Ok(Some(Prepared { plugin, fingerprint, marks })),
            Err(error) => Err(Unfit { fingerprint, error }),
        }
    }

    /// Everything slow, and everything that can be known before the exchange.
    fn prepare(&self, source: &PluginSource, current: Option<&Running>) -> Result<Plugin> {
        let component = Arc::clone(&source.component);
        let mut plugin =
            Plugin::load(&self.engine, source.clone()).map_err(audit_core::Error::from)?;
        if let Some(current) = current
            && current.id.name != plugin.id().name
        {
            bail!(
                "the file holds the plugin {:?} now, and {:?} runs from it: a file keeps its plugin; \
                 put the other one beside it",
                plugin.id().name,
                current.id.name
            );
        }
        golden::prove(&self.engine, source).context("its own golden cases")?;
        // What it cannot take over is known before anything is exchanged.
        self.control.catch_up(&mut plugin).map_err(audit_core::Error::from)?;
        self.runtime
            .block_on(self.components.put(&plugin.id().sha256, &component))
            .map_err(audit_core::Error::from)
            .context("keeping the component beside the table")?;
        Ok(plugin)
    }

    /// Nothing leaves the chain while it runs, whatever became of its file or of the configuration: a file
    /// that was deleted, or a configuration that was cut off, must not have data stored as it came.
    fn keep_unwanted(&mut self, running: &[Running], steps: &mut Vec<(PluginEntry, Step)>) {
        let place_of = |steps: &[(PluginEntry, Step)], origin: &str| {
            steps.iter().position(|(entry, _)| entry.origin() == origin)
        };
        // Behind the one that it ran behind.
        let mut behind = 0;
        for plugin in running {
            if let Some(at) = place_of(steps, &plugin.origin) {
                behind = at + 1;
                continue;
            }
            let name = plugin.id.name.clone();
            let problem = anyhow!(
                "neither the configuration nor the plugin folder names {} any more (the file is gone, or \
                 the list was changed); the plugin goes on, and only a restart ends it",
                plugin.origin
            );
            self.refuse(&plugin.origin, &name, &plugin.origin, "not wanted", &problem);
            steps.insert(behind, (PluginEntry::plain(&plugin.origin), Step::Keep(name)));
            behind += 1;
        }
    }

    /// Says once why something was not done.
    fn refuse(
        &mut self,
        origin: &str,
        plugin: &str,
        source: &str,
        fingerprint: &str,
        error: &anyhow::Error,
    ) {
        let known = self.refused.insert(origin.to_owned(), fingerprint.to_owned());
        if known.as_deref() == Some(fingerprint) {
            return;
        }
        let reason = format!("{error:#}").lines().collect::<Vec<_>>().join("; ");
        tracing::error!(plugin, source, reason, "a plugin was not taken, the chain is as it was");
        let running = self.control.running();
        let before = running.into_iter().find(|running| running.id.name == plugin);
        let change = PluginChange {
            kind: ChangeKind::Refused,
            plugin: plugin.to_owned(),
            source: source.to_owned(),
            at: Timestamp::now().as_microsecond(),
            before: before.map(|running| running.id),
            after: None,
            from: BTreeMap::new(),
            reason,
        };
        if let Some(Err(error)) = self.control.note(change.into()) {
            tracing::warn!(%error, "the refusal was not recorded");
        }
    }

    /// Starts candidates that are wanted, exchanges those that changed, ends the others.
    fn look_at_shadows(&mut self) {
        for (plugin, file) in self.wanted.shadows.clone() {
            let tag = format!("shadow of {plugin}");
            let (print, source) = match self.shadow_source(&plugin, &file) {
                Ok(found) => found,
                Err(error) => {
                    self.refuse(&tag, &plugin, &file, &format!("{error:#}"), &error);
                    continue;
                }
            };
            // One that was promoted runs no more, and may again after a rollback.
            let runs = self.control.shadow_reports().iter().any(|report| report.plugin == plugin);
            let is_known = runs && self.shadows.get(&plugin) == Some(&print);
            if is_known || self.refused.get(&tag) == Some(&print) {
                continue;
            }
            match self.start_shadow(&plugin, &file, &source) {
                Ok(is_new) => {
                    if is_new {
                        tracing::info!(plugin, file, "a candidate runs beside the plugin");
                    }
                    self.refused.remove(&tag);
                    self.shadows.insert(plugin, print);
                }
                Err(error) => self.refuse(&tag, &plugin, &file, &print, &error),
            }
        }
        let gone: Vec<String> = self
            .shadows
            .keys()
            .filter(|plugin| !self.wanted.shadows.contains_key(*plugin))
            .cloned()
            .collect();
        for plugin in gone {
            self.shadows.remove(&plugin);
            drop(self.control.end_shadow(&plugin, "it is not wanted any more".to_owned()));
        }
    }

    /// The candidate with the configuration of the plugin that it runs beside.
    fn shadow_source(&self, plugin: &str, file: &str) -> Result<(String, PluginSource)> {
        let running = self.control.running();
        let live = running.iter().find(|running| running.id.name == plugin);
        let Some(live) = live else {
            let known: Vec<_> = running.iter().map(|running| running.id.name.as_str()).collect();
            bail!("there is no plugin {plugin:?} in the chain; there are: {}", known.join(", "));
        };
        let entry = self.wanted.plugins.iter().find(|entry| entry.origin() == live.origin);
        let entry = entry.cloned().unwrap_or_else(|| PluginEntry::plain(file));
        let entry = PluginEntry { path: file.to_owned(), ..entry };
        let source = load::source(&entry, &self.wanted.keys, &self.lookups)?;
        Ok((fingerprint(&entry, &source), source))
    }

    /// Whether a candidate was started; none is that judges as the plugin does.
    fn start_shadow(&self, plugin: &str, file: &str, source: &PluginSource) -> Result<bool> {
        let current = self.control.running().into_iter().find(|r| r.id.name == plugin);
        if current.as_ref().is_some_and(|current| current.id.sha256 == source.sha256()) {
            // It was promoted, or never differed.
            return Ok(false);
        }
        let mut candidate = self.prepare(source, current.as_ref())?;
        // It was kept beside the table since, which takes its time.
        self.control.catch_up(&mut candidate).map_err(audit_core::Error::from)?;
        let reason = format!("candidate {file}");
        match self.control.start_shadow(plugin, candidate, reason) {
            None => Ok(false),
            Some(done) => Ok(done.map(|_| true).map_err(audit_core::Error::from)?),
        }
    }
}

/// Stands for the order of the chain where a plugin's origin would.
const ARRANGEMENT: &str = "the chain";
/// Stands for the configuration file where a plugin's name would.
const CONFIGURATION: &str = "configuration";
