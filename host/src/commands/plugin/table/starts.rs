//! Whether a host would start with another component in a plugin's place: what a start does with it is done
//! here before the file is written, with the configuration that a start would read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use audit_chain::{Cancel, Engine, Plugin, PluginChain};
use audit_core::PluginState;
use audit_core::text::one_line;
use audit_lookup::Lookups;
use audit_sink::{ComponentStore, Pins, Vault};

use super::history_format::shown;
use super::install::{Order, install};
use super::opened::Opened;
use crate::cli::PickArgs;
use crate::commands::columns::clean;
use crate::commands::plugin::author::plugin_args;
use crate::commands::plugin::error::Error as PluginError;
use crate::config::{self, PluginEntry, Wanted, plugins_and_key_file};
use crate::error::Error;
use crate::plugins::{Candidate, check_candidate, check_columns, required};
use crate::stdout::print;
use crate::{golden, plugins};

/// A configuration that nobody wrote.
const EMPTY: &str = "{}";
/// For compiling all other plugins. Whoever rolls back at night must not wait for somebody else's file.
const OTHERS_TIME: Duration = Duration::from_secs(2);

/// Writes the component over the plugin's file, or elsewhere, if a host would start with it.
pub(super) async fn swap(
    opened: &Opened,
    config: Option<&Path>,
    order: &Order<'_>,
    pick: &PickArgs,
) -> Result<()> {
    let path = order.file(pick, &opened.components())?;
    let component = opened.component(order.wanted).await?;
    let unchecked = match &pick.output {
        None => check(opened, config, order, &path, &component).await?,
        // A copy elsewhere starts nothing.
        Some(_) => String::new(),
    };
    install(&path, &component)?;
    print(&(order.done(&path, pick) + &unchecked))
}

/// Refuses a component with which a host would not start, and returns what could not be checked, a line each.
async fn check(
    opened: &Opened,
    config: Option<&Path>,
    order: &Order<'_>,
    path: &Path,
    component: &[u8],
) -> Result<String> {
    let engine = plugin_args::engine()?;
    let unchecked = start(&engine, opened, config, order, component).await;
    let unchecked = unchecked.map_err(|cause| PluginError::WouldNotStart {
        plugin: order.plugin.to_owned(),
        wanted: shown(order.wanted),
        path: path.to_owned(),
        cause,
    })?;
    let lines: Vec<_> =
        unchecked.iter().map(|what| format!("not checked: {}\n", clean(what))).collect();
    Ok(lines.concat())
}

/// Starts it. The error is what a start would refuse.
async fn start(
    engine: &Engine,
    opened: &Opened,
    config: Option<&Path>,
    order: &Order<'_>,
    component: &[u8],
) -> Result<Vec<String>> {
    let mut check = Check::new(config, order);
    let pins = opened.pins().await?;
    let Some(mut chain) = check.load(engine, order, component.into(), &pins)? else {
        return Ok(check.unchecked);
    };
    let Some(key_file) = &check.key_file else {
        if chain.has_detectors() {
            check.unchecked.push("its saved state: the configuration names no key file".to_owned());
        }
        return Ok(check.unchecked);
    };
    match states(opened, key_file, order.plugin).await {
        Ok(states) => chain.restore(&states)?,
        // Whoever rolls back need not be who may read the key.
        Err(error) => {
            check.unchecked.push(format!("its saved state: {}", one_line(error.as_ref())));
        }
    }
    Ok(check.unchecked)
}

/// The saved states of one plugin.
async fn states(opened: &Opened, key_file: &Path, plugin: &str) -> Result<Vec<PluginState>> {
    let mut states = opened.states(&Vault::open(key_file)?).await?;
    states.retain(|state| state.plugin.name == plugin);
    Ok(states)
}

struct Check {
    wanted: Wanted,
    /// The plugin as it is configured.
    entry: PluginEntry,
    /// Whether that is what a start would read.
    is_known: bool,
    key_file: Option<PathBuf>,
    /// Why it is not known: what to do about it.
    advice: &'static str,
    unchecked: Vec<String>,
}

impl Check {
    fn new(config: Option<&Path>, order: &Order<'_>) -> Self {
        let mut unchecked = Vec::new();
        let (wanted, key_file) = match config.map(plugins_and_key_file) {
            Some(Ok(read)) => read,
            Some(Err(error)) => {
                unchecked.push(format!("its configuration: {}", one_line(&error)));
                (Wanted::default(), None)
            }
            None => (Wanted::default(), None),
        };
        let listed = wanted.plugins.iter().find(|entry| entry.origin() == order.source).cloned();
        // The table knows the digest of what the current version runs with: an empty one needs no file.
        let is_empty = order
            .current
            .is_some_and(|id| id.config_sha256 == ComponentStore::digest(EMPTY.as_bytes()));
        let is_known = listed.is_some() || is_empty;
        let entry = listed.unwrap_or_else(|| PluginEntry::plain(order.source));
        let advice = match config {
            None => "give --config",
            Some(_) => "the file of --config does not list it",
        };
        Self { wanted, entry, is_known, key_file, advice, unchecked }
    }

    /// The chain with the component in its place; `None` if its configuration is not known and it does not take
    /// an empty one.
    fn load(
        &mut self,
        engine: &Engine,
        order: &Order<'_>,
        component: Arc<[u8]>,
        pins: &Pins,
    ) -> Result<Option<PluginChain>> {
        let lookups = self.lookups();
        let source = plugins::source_of(&self.entry, component, &self.wanted.keys, &lookups);
        let source = match source {
            Ok(source) => source,
            Err(error @ config::Error::OtherComponent { .. }) => return Err(error.into()),
            Err(error) => {
                self.unchecked.push(format!("all that needs its keys: {}", one_line(&error)));
                return Ok(None);
            }
        };
        let plugin = match Plugin::load(engine, source.clone()) {
            Ok(plugin) => plugin,
            Err(error) if !self.is_known && is_of_configuration(&error) => {
                let what = "its configuration, the other plugins and its state";
                self.unchecked.push(format!("{what}: {}", self.advice));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let found = &plugin.id().name;
        if found != order.plugin {
            let (found, running) = (found.clone(), order.plugin.to_owned());
            return Err(Error::OtherPlugin { found, running }.into());
        }
        let candidate = Candidate::new(&self.entry, &plugin);
        let is_allowed = if self.is_known { check_candidate } else { check_columns };
        is_allowed(&candidate, Some(pins))?;
        golden::prove(engine, &source).context("its own golden cases")?;
        if !self.is_known {
            self.unchecked.push(format!("its configuration: {}", self.advice));
        }
        let is_whole = self.is_known && !self.wanted.plugins.is_empty();
        let chain = self.around(engine, plugin, &lookups);
        self.check_hidden(&chain, is_whole, pins)?;
        Ok(Some(PluginChain::new(chain)?))
    }

    /// What must stay replaced still is, if the whole chain is known.
    fn check_hidden(&mut self, chain: &[Plugin], is_whole: bool, pins: &Pins) -> Result<()> {
        let required = required(&self.wanted, Some(pins));
        if required.is_empty() {
            return Ok(());
        }
        if !is_whole || chain.len() != self.wanted.plugins.len() {
            let what = "whether what must stay replaced is";
            let advice =
                if self.is_known { "give the --config of the whole chain" } else { self.advice };
            self.unchecked.push(format!("{what}: {advice}"));
            return Ok(());
        }
        Ok(Plugin::prove(chain)?.check(&required)?)
    }

    /// Tables and calendars as a start loads them.
    fn lookups(&mut self) -> Lookups {
        match plugins::load_lookups(&self.wanted.lookups) {
            Ok(lookups) => lookups,
            Err(error) => {
                self.unchecked.push(format!("its lookups: {}", one_line(&error)));
                Lookups::default()
            }
        }
    }

    /// The plugin among the others. That one of them does not load is not its fault, and a file that takes long to
    /// compile does not hold it up: what runs is in the cache.
    fn around(&mut self, engine: &Engine, plugin: Plugin, lookups: &Lookups) -> Vec<Plugin> {
        let (mut chain, mut plugin) = (Vec::new(), Some(plugin));
        let cancel = Cancel::default();
        let engine = &engine.for_candidate(cancel.clone());
        let timer = cancel.clone();
        thread::spawn(move || {
            thread::sleep(OTHERS_TIME);
            timer.set();
        });
        for entry in &self.wanted.plugins {
            if entry.origin() == self.entry.origin() {
                chain.extend(plugin.take());
                continue;
            }
            let loaded = plugins::source(entry, &self.wanted.keys, lookups)
                .map_err(anyhow::Error::from)
                .and_then(|source| Ok(Plugin::load(engine, source)?));
            match loaded {
                Ok(other) => chain.push(other),
                Err(error) => {
                    let why = if cancel.is_set() {
                        format!("it was not compiled within {OTHERS_TIME:?}")
                    } else {
                        one_line(error.as_ref())
                    };
                    self.unchecked.push(format!("how it fits {}: {why}", entry.path));
                }
            }
        }
        chain.extend(plugin);
        chain
    }
}

fn is_of_configuration(error: &audit_chain::Error) -> bool {
    use audit_chain::Error::{Call, Config};
    matches!(error, Config { .. } | Call { function: "configure", .. })
}
