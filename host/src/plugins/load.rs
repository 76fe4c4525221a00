//! Plugins and lookups from their files. Everything about a file is hostile until it was checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use audit_chain::{Engine, Granted, Keys, Plugin, PluginChain, PluginSource, Proof};
use audit_core::{Counters, KeyMark};
use audit_lookup::{Definitions, Lookups, Set};
use audit_sink::{ComponentStore, Pins};

use super::admission::{Candidate, check_file, check_grant, folder_name};
use crate::config::{Error, KeyEntries, PluginCache, PluginEntry, Settings, Wanted, read, trust};
use crate::{builtin, error, golden};

/// The chain of a start, and what is needed to reload it later.
pub(crate) struct LoadedPlugins {
    pub(crate) engine: Engine,
    pub(crate) chain: PluginChain,
    /// By digest the bytes of the components, to be stored beside the table.
    pub(crate) components: Vec<(String, Arc<[u8]>)>,
    /// Of the secrets that the plugins may use.
    pub(crate) marks: Vec<KeyMark>,
    /// Fingerprints, by origin.
    pub(crate) active: BTreeMap<String, String>,
    /// What the plugins of the chain declare.
    pub(crate) candidates: Vec<Candidate>,
    /// What they hide.
    pub(crate) proof: Proof,
}

/// Loads every table and calendar for a start: the first that is wrong ends it.
pub(crate) fn load_lookups(definitions: &Definitions) -> Result<Lookups, Error> {
    let set = Set::load(definitions)?;
    for (name, sha256) in set.versions() {
        let rows = set.table(&name).map(audit_lookup::Table::n_rows);
        tracing::info!(lookup = name, sha256, rows, "lookup loaded");
    }
    Ok(Lookups::new(set))
}

/// Loads every plugin for a start: the first that is wrong ends it. What a running host would reject is
/// rejected here too.
pub(crate) fn load_chain(
    settings: &Settings,
    lookups: &Lookups,
    counters: &Arc<Counters>,
    pins: Option<&Pins>,
) -> Result<LoadedPlugins> {
    let engine = engine(&settings.plugin_cache).context("loading plugins")?;
    let wanted = &settings.wanted;
    let (mut plugins, mut components, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut active, mut candidates) = (BTreeMap::new(), Vec::new());
    let folder = wanted.folder.as_deref().map(folder_name);
    for entry in &wanted.plugins {
        check_file(entry, folder.as_deref(), pins)?;
        check_grant(entry, &wanted.plugins, pins)?;
        let source = source(entry, &wanted.keys, lookups)?;
        active.insert(entry.origin(), fingerprint(entry, &source));
        marks.extend(source.marks());
        let plugin = Plugin::load(&engine, source.clone()).context("loading plugins")?;
        golden::prove(&engine, &source).map_err(|cause| {
            let plugin = entry.path.clone();
            error::Error::GoldenCases { plugin, cause }
        })?;
        candidates.push(Candidate::new(entry, &plugin));
        components.push((plugin.id().sha256.clone(), source.component));
        plugins.push(plugin);
    }
    check_shadows(wanted, &plugins)?;
    let proof = Plugin::prove(&plugins).context("loading plugins");
    let chain = PluginChain::new(plugins).context("loading plugins")?;
    let chain = chain.counting(Arc::clone(counters)).looking_up(lookups.clone());
    let proof = proof?;
    Ok(LoadedPlugins { engine, chain, components, marks, active, candidates, proof })
}

/// An error for a shadow of a plugin that is not in the chain.
fn check_shadows(wanted: &Wanted, plugins: &[Plugin]) -> Result<(), Error> {
    for plugin in wanted.shadows.keys() {
        if !plugins.iter().any(|known| known.id().name == *plugin) {
            let known: Vec<_> = plugins.iter().map(|p| p.id().name.as_str()).collect();
            let problem = format!("is not a plugin of the chain; available: {}", known.join(", "));
            let (key, value) = ("--shadow".to_owned(), plugin.clone());
            return Err(Error::Value { key, value, problem });
        }
    }
    Ok(())
}

/// The engine of a run. A default cache that cannot be used costs a compilation at each start, and is not
/// worth a failure; one that was named is.
pub(crate) fn engine(cache: &PluginCache) -> Result<Engine, audit_chain::Error> {
    match cache {
        PluginCache::Off => Engine::new(),
        PluginCache::Named(folder) => Engine::with_cache(folder),
        PluginCache::Default(folder) => Engine::with_cache(folder).or_else(|error| {
            tracing::warn!(%error, "no plugin cache; every start compiles the plugins");
            Engine::new()
        }),
    }
}

/// Reads a plugin and what it may use. Nothing of it runs.
pub(crate) fn source(
    entry: &PluginEntry,
    keys: &KeyEntries,
    lookups: &Lookups,
) -> Result<PluginSource, Error> {
    let component: Arc<[u8]> = if let Some(name) = entry.builtin() {
        builtin::component(name)?.into()
    } else {
        let path = Path::new(&entry.path);
        if let Some(problem) = trust::problem(path) {
            return Err(Error::Untrusted { path: path.to_owned(), problem });
        }
        let bytes = read::whole(path, entry.limits.file_bytes);
        bytes.map_err(|cause| Error::Plugin { path: path.to_owned(), cause })?.into()
    };
    source_of(entry, component, keys, lookups)
}

/// The same with these bytes in the place of the file's.
pub(crate) fn source_of(
    entry: &PluginEntry,
    component: Arc<[u8]>,
    keys: &KeyEntries,
    lookups: &Lookups,
) -> Result<PluginSource, Error> {
    if let Some(pinned) = &entry.sha256 {
        let found = ComponentStore::digest(&component);
        if found != *pinned {
            let (plugin, pinned) = (entry.path.clone(), pinned.clone());
            return Err(Error::OtherComponent { plugin, found, pinned });
        }
    }
    Ok(PluginSource {
        name: entry.path.clone(),
        origin: entry.origin(),
        component,
        config: entry.config.clone(),
        keys: read_keys(&entry.keys, keys)?,
        lookups: Granted {
            names: entry.lookups.iter().cloned().collect(),
            lookups: lookups.clone(),
        },
        limits: entry.limits,
        on_error: entry.on_error,
        scope: entry.scope,
        keyed_by: entry.keyed_by.clone(),
    })
}

/// Reads the secrets with these names.
pub(crate) fn read_keys<'a>(
    names: impl IntoIterator<Item = &'a String>,
    entries: &KeyEntries,
) -> Result<Keys, Error> {
    let mut keys = Keys::new();
    for name in names {
        if let Some(entry) = entries.get(name) {
            keys.insert(name.clone(), entry.read(name)?);
        }
    }
    Ok(keys)
}

/// Identifies a plugin with everything that changes what it does: bytes, configuration, limits, keys, and
/// which lookups it may ask. Not the content of those: it is reloaded under the plugin.
pub(super) fn fingerprint(entry: &PluginEntry, source: &PluginSource) -> String {
    let PluginEntry { config, lookups, on_error, scope, keyed_by, limits, reads, writes, .. } =
        entry;
    let is_granted = entry.granted_by.is_some();
    let keys = source.marks();
    let sha256 = source.sha256();
    format!(
        "{sha256} {config} {keys:?} {lookups:?} {on_error:?} {scope:?} {keyed_by:?} {limits:?} {reads:?} {writes:?} \
         {is_granted}"
    )
}
