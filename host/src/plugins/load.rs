//! A plugin from its file. Everything about the file is hostile until it was checked.

use std::path::Path;
use std::sync::Arc;

use audit_chain::{Engine, Granted, Keys, PluginSource};
use audit_lookup::Lookups;

use crate::builtin;
use crate::config::{Error, KeyEntries, PluginCache, PluginEntry, Settings, read};

/// The engine of a run. A cache that cannot be used costs a compilation at each start, and is not worth
/// a failure unless somebody named it.
pub(crate) fn engine(settings: &Settings) -> Result<Engine, audit_chain::Error> {
    match &settings.plugin_cache {
        PluginCache::Off => Engine::new(),
        PluginCache::Named(folder) => Engine::with_cache(folder),
        PluginCache::Default(folder) => Engine::with_cache(folder).or_else(|error| {
            tracing::warn!(%error, "every start compiles the plugins");
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
        let bytes = read::whole(path, entry.limits.file_bytes);
        bytes.map_err(|cause| Error::Plugin { path: path.to_owned(), cause })?.into()
    };
    Ok(PluginSource {
        name: entry.path.clone(),
        origin: entry.origin(),
        component,
        config: entry.config.clone(),
        keys: keys_of(entry, keys)?,
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

fn keys_of(entry: &PluginEntry, entries: &KeyEntries) -> Result<Keys, Error> {
    let mut keys = Keys::new();
    for name in &entry.keys {
        if let Some(key) = entries.get(name) {
            keys.insert(name.clone(), key.read(name)?);
        }
    }
    Ok(keys)
}

/// Everything by which a plugin is the same as before: bytes, configuration, limits, keys, and which
/// lookups it may ask. Not what is in those: they are exchanged under it.
pub(crate) fn fingerprint(entry: &PluginEntry, source: &PluginSource) -> String {
    let PluginEntry { config, lookups, on_error, scope, keyed_by, limits, .. } = entry;
    let keys = source.marks();
    let sha256 = source.sha256();
    format!("{sha256} {config} {keys:?} {lookups:?} {on_error:?} {scope:?} {keyed_by:?} {limits:?}")
}
