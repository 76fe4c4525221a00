//! A plugin from its file. Everything about the file is hostile until it was checked.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit_chain::{Engine, Key, Keys, PluginSource};

use crate::builtin;
use crate::config::{Error, PluginCache, PluginEntry, Settings};

/// A key shorter than this could be guessed.
const KEY_BYTES_MIN: usize = 16;

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
pub(crate) fn read(
    entry: &PluginEntry,
    keys: &BTreeMap<String, PathBuf>,
) -> Result<PluginSource, Error> {
    let component: Arc<[u8]> = match entry.builtin() {
        Some(name) => builtin::component(name)?.into(),
        None => read_stable(Path::new(&entry.path), entry.limits.file_bytes)?.into(),
    };
    Ok(PluginSource {
        name: entry.path.clone(),
        origin: entry.origin(),
        component,
        config: entry.config.clone(),
        keys: keys_of(entry, keys)?,
        limits: entry.limits,
        on_error: entry.on_error,
        scope: entry.scope,
        keyed_by: entry.keyed_by.clone(),
    })
}

/// The bytes of a file that is a file, is not too large, and does not change while it is read.
pub(crate) fn read_stable(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::Plugin { path: path.to_owned(), cause };
    let refuse = |problem: String| Error::PluginFile { path: path.to_owned(), problem };
    // A pipe or a device would make the open or the read wait for ever.
    let before = std::fs::metadata(path).map_err(failed)?;
    if !before.is_file() {
        return Err(refuse("is not a file".to_owned()));
    }
    if before.len() > bytes_max {
        return Err(refuse(format!(
            "has {} bytes, more than {bytes_max} (limits.file-bytes-max)",
            before.len()
        )));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let after = std::fs::metadata(path).map_err(failed)?;
    if stamp(&before) != stamp(&after) || bytes.len() as u64 != after.len() {
        return Err(refuse(
            "changed while it was read: write it elsewhere and rename it".to_owned(),
        ));
    }
    Ok(bytes)
}

/// What changes whenever a file does.
fn stamp(file: &Metadata) -> (u64, u64, u64, i64, i64) {
    (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec())
}

fn keys_of(entry: &PluginEntry, files: &BTreeMap<String, PathBuf>) -> Result<Keys, Error> {
    let mut keys = Keys::new();
    for name in &entry.keys {
        let Some(path) = files.get(name) else { continue };
        let secret = std::fs::read(path).map_err(|cause| Error::KeyFile {
            name: name.clone(),
            path: path.clone(),
            cause,
        })?;
        let secret = secret.trim_ascii();
        if secret.len() < KEY_BYTES_MIN {
            let (name, path, n_bytes) = (name.clone(), path.clone(), secret.len());
            return Err(Error::ShortKey { name, path, n_bytes });
        }
        keys.insert(name.clone(), Key::new(secret));
    }
    Ok(keys)
}

/// Everything by which a plugin is the same as before: bytes, configuration, limits, keys.
pub(crate) fn fingerprint(entry: &PluginEntry, source: &PluginSource) -> String {
    let PluginEntry { config, on_error, scope, keyed_by, limits, .. } = entry;
    let keys: Vec<_> = source.keys.iter().map(|(name, key)| (name, key.fingerprint())).collect();
    let sha256 = source.sha256();
    format!("{sha256} {config} {keys:?} {on_error:?} {scope:?} {keyed_by:?} {limits:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_fair_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_stable(&path, 5).unwrap(), b"12345");
        let error = read_stable(&path, 4).unwrap_err().to_string();
        assert!(error.contains("has 5 bytes, more than 4"), "{error}");
        let error = read_stable(folder.path(), 5).unwrap_err().to_string();
        assert!(error.contains("is not a file"), "{error}");
        assert!(read_stable(&folder.path().join("none"), 5).is_err());
    }
}
