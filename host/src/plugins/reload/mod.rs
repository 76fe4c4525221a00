//! Reloads plugins and lookups while the host runs.
//!
//! Reads what is wanted, compares it with what runs (`diff`), prepares what differs beside the stream
//! (`prepare`), and has the chain swap it between two batches (`apply`). A candidate that does not pass leaves
//! everything as it is; the reason goes to the log, to an alert and to the table.

mod diff;

mod prepare;

mod apply;
mod lookups;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use audit_chain::{ChainControl, Engine};
use audit_core::text::one_line;
use audit_lookup::Lookups;
use audit_sink::{AuditTable, ComponentStore, KnownKeys};
use tokio::runtime::Handle;

use self::diff::Known;
use super::shadows;
use super::watch::{Cause, Watch};
use crate::config::{KeyEntry, PluginEntry, PluginPlaces, Settings, Wanted};

/// How often it reads everything for one cause, if the set of watched files changes each time.
const LOOKS_MAX: usize = 3;
/// How often shadows are reported.
const TICK: Duration = Duration::from_secs(10);

/// Keeps the chain as it is wanted.
pub(crate) struct Reloader {
    engine: Engine,
    control: ChainControl,
    components: ComponentStore,
    runtime: Handle,
    places: PluginPlaces,
    wanted: Wanted,
    /// The tables and calendars that plugins may ask.
    lookups: Lookups,
    /// Keys as the table knows them.
    keys: KnownKeys,
    shadow_report: Option<PathBuf>,
    known: Known,
}

impl Reloader {
    /// Of a run that begins on this runtime. `active` has the fingerprints of the plugins that the chain was
    /// made of, by origin.
    pub(crate) fn new(
        settings: &Settings,
        engine: Engine,
        active: BTreeMap<String, String>,
        lookups: Lookups,
        control: ChainControl,
        table: &AuditTable,
    ) -> Self {
        let wanted = settings.wanted.clone();
        let is_configured = |entry: &&PluginEntry| !entry.is_bare();
        let configured = wanted.plugins.iter().filter(is_configured).map(PluginEntry::origin);
        Self {
            engine,
            control,
            components: table.components(),
            runtime: Handle::current(),
            places: settings.places.clone(),
            known: Known { active, configured: configured.collect(), ..Known::default() },
            wanted,
            lookups,
            keys: table.keys(),
            shadow_report: settings.shadow_report.clone(),
        }
    }

    /// The other end of the chain that it reloads.
    pub(crate) fn control(&self) -> ChainControl {
        self.control.clone()
    }

    /// Until the run ends.
    pub(crate) fn run(mut self, mut watch: Watch) {
        // Picks up changes since the files were read at the start.
        self.look_and_watch(Cause::File, &mut watch);
        let mut reported = Instant::now();
        loop {
            let cause = watch.next(TICK.saturating_sub(reported.elapsed()));
            match cause {
                Cause::End => return,
                Cause::Tick => {}
                Cause::File | Cause::Hangup => {
                    if cause == Cause::Hangup {
                        // An explicit request: what was rejected is tried again.
                        self.known.rejected.clear();
                    }
                    self.look_and_watch(cause, &mut watch);
                }
            }
            if reported.elapsed() >= TICK {
                reported = Instant::now();
                shadows::report(&self.control, self.shadow_report.as_deref());
            }
        }
    }

    /// Watches before it looks: what changes meanwhile is an event then. Where a look finds other files to
    /// watch, these may have changed before they were watched, and it looks again.
    fn look_and_watch(&mut self, cause: Cause, watch: &mut Watch) {
        for _ in 0..LOOKS_MAX {
            let files = self.files();
            watch.set_files(files.iter().map(PathBuf::as_path));
            self.look(cause);
            self.reconcile_shadows();
            if self.files() == files {
                return;
            }
        }
        watch.set_files(self.files().iter().map(PathBuf::as_path));
    }

    /// Every file and folder whose change matters.
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

    /// Reads everything again, and makes the chain what is wanted.
    fn look(&mut self, cause: Cause) {
        match self.places.look() {
            Ok(wanted) => {
                self.known.rejected.remove(CONFIGURATION);
                self.wanted = wanted;
            }
            Err(error) => {
                let place = self.places.config.as_deref().unwrap_or(Path::new(CONFIGURATION));
                let source = place.display().to_string();
                let error = anyhow!(error);
                let text = one_line(error.as_ref());
                self.reject(CONFIGURATION, CONFIGURATION, &source, &text, &error);
                return;
            }
        }
        // First, as a plugin that is swapped in next may ask for a lookup that came with it.
        self.reload_lookups(cause);
        self.reconcile(cause, None);
    }
}

/// The configuration file, as the origin and the name of what is rejected.
const CONFIGURATION: &str = "configuration";
