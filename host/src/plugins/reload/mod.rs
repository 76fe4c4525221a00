//! Reloads plugins and lookups while the host runs.
//!
//! Reads what is wanted, compares it with what runs (`diff`), prepares what differs beside the stream
//! (`workshop`), each in a thread of its own (`preparations`), and has the chain swap it between two batches
//! (`apply`). A candidate that does not pass leaves everything as it is; the reason goes to the log, to an alert and
//! to the table. A loop that panics or hangs is followed by another one (`watchdog`).

mod diff;

mod preparations;
mod stored;

mod workshop;

mod prepare;

mod apply;
mod lookups;

mod watchdog;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use audit_chain::{ChainControl, Engine};
use audit_core::PluginId;
use audit_core::text::one_line;
use audit_lookup::Lookups;
use audit_sink::{AuditTable, KnownKeys, PinBook};
use tokio::runtime::Handle;

use self::diff::{Known, shadow_tag};
use self::preparations::Preparations;
use self::stored::Storage;
use self::watchdog::{Failure, Pulse, Turn, supervise};
use self::workshop::{Prepared, Workshop};
use super::shadows;
use super::watch::{Cause, Watch};
use crate::config::{self, KeyEntry, PluginEntry, PluginPlaces, Settings, Wanted, name_of};
use crate::error::Error;

/// How often it reads everything for one cause, if the set of watched files changes each time.
const LOOKS_MAX: usize = 3;
/// How often shadows are reported.
const TICK: Duration = Duration::from_secs(10);
/// How often it looks at candidates that take long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Reading files and comparing them takes milliseconds; waiting for the chain does not count.
const HANGS_AFTER: Duration = Duration::from_mins(1);

/// Keeps the chain as it is wanted.
pub(crate) struct Reloader {
    control: ChainControl,
    workshop: Workshop,
    places: PluginPlaces,
    wanted: Wanted,
    /// The tables and calendars that plugins may ask.
    lookups: Lookups,
    /// Keys as the table knows them.
    keys: KnownKeys,
    /// What the group has accepted.
    pins: PinBook,
    /// By origin what was last read there: named where it is rejected.
    read: BTreeMap<String, PluginId>,
    shadow_report: Option<PathBuf>,
    known: Known,
    /// Files of the folder that nothing grants to run, and that were found since the last look.
    n_ungranted: usize,
    preparations: Preparations<Prepared>,
    turn: Turn,
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
        let storage = Storage::new(table.components(), Handle::current());
        Self {
            workshop: Workshop { engine, control: control.clone(), storage, pins: table.pins() },
            control,
            places: settings.places.clone(),
            known: Known { active, configured: configured.collect(), ..Known::default() },
            wanted,
            lookups,
            keys: table.keys(),
            pins: table.pins(),
            read: BTreeMap::new(),
            shadow_report: settings.shadow_report.clone(),
            n_ungranted: 0,
            preparations: Preparations::new(None),
            turn: Pulse::default().next_turn(),
        }
    }

    /// The other end of the chain that it reloads.
    pub(crate) fn control(&self) -> ChainControl {
        self.control.clone()
    }

    /// What another loop needs to go on from here.
    fn checkpoint(&self) -> Self {
        Self {
            control: self.control.clone(),
            workshop: self.workshop.clone(),
            places: self.places.clone(),
            wanted: self.wanted.clone(),
            lookups: self.lookups.clone(),
            keys: self.keys.clone(),
            pins: self.pins.clone(),
            read: self.read.clone(),
            shadow_report: self.shadow_report.clone(),
            known: self.known.clone(),
            n_ungranted: 0,
            preparations: self.preparations.fresh(),
            turn: self.turn.clone(),
        }
    }

    /// Until the run ends. The loop has a thread of its own, and whatever becomes of it another goes on.
    /// `causes` wakes the loop.
    pub(crate) fn run(mut self, watch: Watch, causes: SyncSender<Cause>) {
        self.preparations = Preparations::new(Some(causes));
        let watch = Arc::new(Mutex::new(watch));
        let saved = Arc::new(Mutex::new(self));
        let start = |turn: Turn| {
            let reloader = Self { turn, ..lock(&saved).checkpoint() };
            let (watch, saved) = (Arc::clone(&watch), Arc::clone(&saved));
            let thread = thread::Builder::new().name("plugin-look".to_owned());
            thread.spawn(move || reloader.work(&watch, &saved))
        };
        supervise(&Pulse::default(), HANGS_AFTER, start, |failure| lock(&saved).report(&failure));
    }

    /// Says that the loop failed, and that another goes on.
    fn report(&mut self, failure: &Failure) {
        let problem = match failure {
            Failure::Panicked(text) => format!("it panicked: {text}"),
            Failure::Hangs(time) => format!("it has done nothing for {time:.0?}"),
        };
        let error = anyhow!(Error::ReloadFailed { problem });
        // Each is reported.
        self.known.rejected.remove(CONFIGURATION);
        self.turn = Pulse::default().next_turn();
        self.reject(CONFIGURATION, CONFIGURATION, CONFIGURATION, &one_line(error.as_ref()), &error);
        self.known.rejected.remove(CONFIGURATION);
    }

    fn work(mut self, watch: &Mutex<Watch>, saved: &Mutex<Self>) {
        // Picks up changes since the files were read at the start.
        let mut last = Cause::File;
        self.turn.busy();
        self.look_and_watch(last, watch);
        let mut reported = Instant::now();
        while self.turn.is_current() {
            *lock(saved) = self.checkpoint();
            self.turn.idle();
            let cause = lock(watch).next(self.patience(reported));
            self.turn.busy();
            match cause {
                Cause::End => return,
                Cause::Tick if self.preparations.is_empty() => {}
                Cause::Tick | Cause::Prepared => {
                    self.preparations.give_up_overdue();
                    self.reconcile(last);
                    self.reconcile_shadows();
                }
                Cause::File | Cause::Hangup => {
                    last = cause;
                    if cause == Cause::Hangup {
                        // An explicit request: what was rejected is tried again.
                        self.known.rejected.clear();
                    }
                    self.look_and_watch(cause, watch);
                }
            }
            if reported.elapsed() >= TICK {
                reported = Instant::now();
                shadows::report(&self.control, self.shadow_report.as_deref());
            }
        }
    }

    /// How long nothing is to be done if nothing happens.
    fn patience(&self, reported: Instant) -> Duration {
        let tick = TICK.saturating_sub(reported.elapsed());
        if self.preparations.is_empty() {
            return tick;
        }
        let together = self.preparations.wait();
        tick.min(if together.is_zero() { LOOK_EVERY } else { together })
    }

    /// Asks something of the chain, which may be waiting for the table.
    fn ask<T>(&self, ask: impl FnOnce(&ChainControl) -> T) -> T {
        self.turn.idle();
        let answer = ask(&self.control);
        self.turn.busy();
        answer
    }

    /// Watches before it looks: what changes meanwhile is an event then. Where a look finds other files to
    /// watch, these may have changed before they were watched, and it looks again.
    fn look_and_watch(&mut self, cause: Cause, watch: &Mutex<Watch>) {
        for _ in 0..LOOKS_MAX {
            let files = self.files();
            lock(watch).set_files(files.iter().map(PathBuf::as_path));
            self.look(cause);
            self.reconcile_shadows();
            if self.files() == files {
                return;
            }
        }
        lock(watch).set_files(self.files().iter().map(PathBuf::as_path));
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
        self.n_ungranted = 0;
        match self.places.look() {
            Ok((wanted, broken)) => {
                self.known.rejected.remove(CONFIGURATION);
                let before = std::mem::replace(&mut self.wanted, wanted);
                self.keep_broken(before, broken);
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
        let Wanted { plugins, shadows, .. } = &self.wanted;
        self.preparations.retain(|tag| {
            plugins.iter().any(|entry| entry.origin() == tag)
                || shadows.keys().any(|plugin| shadow_tag(plugin) == tag)
        });
        // First, as a plugin that is swapped in next may ask for a lookup that came with it.
        self.reload_lookups(cause);
        self.reconcile(cause);
    }

    /// Components of the folder whose settings cannot be read stay as they are, and are reported.
    fn keep_broken(&mut self, before: Wanted, broken: Vec<(PathBuf, config::Error)>) {
        let tag = |path: &Path| format!("{SETTINGS_OF}{}", path.display());
        let is_broken = |of: &str| broken.iter().any(|(path, _)| tag(path) == of);
        self.known.rejected.retain(|of, _| !of.starts_with(SETTINGS_OF) || is_broken(of));
        let is_kept = |entry: &PluginEntry| {
            entry.from_folder && broken.iter().any(|(path, _)| Path::new(&entry.path) == path)
        };
        let plugins = &mut self.wanted.plugins;
        plugins.extend(before.plugins.into_iter().filter(is_kept));
        // Those of the folder come last, by their names.
        plugins.sort_by(|one, other| {
            let place = |entry: &PluginEntry| entry.from_folder.then(|| PathBuf::from(&entry.path));
            place(one).cmp(&place(other))
        });
        for (path, error) in broken {
            let (source, error) =
                (path.with_extension("toml").display().to_string(), anyhow!(error));
            let text = one_line(error.as_ref());
            let plugin = name_of(&source);
            self.reject(&tag(&path), plugin, &source, &text, &error);
        }
    }
}

/// What it holds is consistent even if the loop panicked.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The configuration file, as the origin and the name of what is rejected.
const CONFIGURATION: &str = "configuration";
/// Before the path of a component: its settings, as the origin of what is rejected.
const SETTINGS_OF: &str = "settings of ";
