//! The plugin that a command line names, with its configuration, keys and lookups.

use std::fs;
use std::path::Path;
use std::time::Duration;

use audit_chain::{Engine, Granted, Keys, Limits, PluginSource};
use audit_lookup::{Lookups, Set};
use serde_json::Value;

use crate::builtin;
use crate::cli::{GivenArgs, KeyArgs};
use crate::config::{Error, KeyEntries, KeyEntry, PluginCache, lookups_and_keys, read};
use crate::plugins::{self, read_keys};

/// An engine with the cache of compiled code that a run has: what one command compiled, no other compiles again.
pub(in super::super) fn engine() -> anyhow::Result<Engine> {
    Ok(plugins::engine(&PluginCache::of_environment()?)?)
}

/// The plugin with its configuration and keys, and the limits of a run.
pub(super) fn source(args: &GivenArgs) -> Result<PluginSource, Error> {
    Ok(PluginSource {
        config: config(args.config.as_deref())?,
        keys: keys(&args.keys)?,
        lookups: lookups(&args.keys)?,
        ..component(&args.file)?
    })
}

/// The plugin with an empty configuration. Rows that it fails on wait for nobody: no other version is on its way.
pub(super) fn component(file: &str) -> Result<PluginSource, Error> {
    let bytes = read(file)?;
    if let Some(problem) = too_large(file, &bytes) {
        return Err(value("FILE", file, problem));
    }
    let limits = Limits { breaker_pause: Duration::ZERO, ..Limits::default() };
    Ok(PluginSource { limits, ..PluginSource::new(file, bytes) })
}

/// The bytes of a component. One that is too large is read only as far as that shows.
pub(super) fn read(file: &str) -> Result<Vec<u8>, Error> {
    if let Some(name) = file.strip_prefix("builtin:") {
        return Ok(builtin::component(name)?.to_vec());
    }
    let bytes = read::begin(Path::new(file), Limits::default().file_bytes + 1);
    bytes.map_err(|cause| value("FILE", file, format!("cannot be read: {cause}")))
}

/// The problem with the size, if there is one.
pub(super) fn too_large(file: &str, bytes: &[u8]) -> Option<String> {
    let limit = Limits::default().file_bytes;
    if bytes.len() as u64 <= limit {
        return None;
    }
    let n_bytes = fs::metadata(file).map_or(limit + 1, |metadata| metadata.len());
    Some(format!(
        "has {n_bytes} bytes, more than the {limit} that a plugin may have: build it without debug \
         information, or without what it does not use"
    ))
}

/// The configuration: JSON text that is an object.
pub(super) fn config(given: Option<&str>) -> Result<String, Error> {
    let Some(given) = given else { return Ok("{}".to_owned()) };
    let text = match given.strip_prefix('@') {
        Some(path) => read::text(Path::new(path))
            .map_err(|cause| Error::Read { path: Path::new(path).to_owned(), cause })?,
        None => given.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(_)) => Ok(text.trim().to_owned()),
        Ok(_) => Err(value("--config", given, "must be a JSON object".to_owned())),
        Err(error) => Err(value("--config", given, format!("is not JSON: {error}"))),
    }
}

/// The keys that are granted, by name.
pub(super) fn keys(args: &KeyArgs) -> Result<Keys, Error> {
    let mut entries = KeyEntries::new();
    for given in &args.keys {
        let Some((name, path)) = given.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(value("--key", given, "must be NAME=FILE".to_owned()));
        };
        entries.insert(name.to_owned(), KeyEntry::of_file(Path::new(path).to_owned()));
    }
    read_keys(entries.keys(), &entries)
}

/// Every table and calendar of the configuration file: all of them are granted.
pub(super) fn lookups(args: &KeyArgs) -> Result<Granted, Error> {
    let Some(path) = &args.lookups else { return Ok(Granted::default()) };
    let (definitions, _) = lookups_and_keys(path)?;
    let set = Set::load(&definitions)?;
    let names = set.versions().into_keys().collect();
    Ok(Granted { names, lookups: Lookups::new(set) })
}

fn value(key: &str, value: &str, problem: String) -> Error {
    Error::Value { key: key.to_owned(), value: value.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T, Error>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_configuration_is_text_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{ \"b\": 1.0, \"a\": 1 }\n").unwrap();
        let of_file = config(Some(&format!("@{}", path.display()))).unwrap();
        assert_eq!(of_file, "{ \"b\": 1.0, \"a\": 1 }");
        assert_eq!(config(None).unwrap(), "{}");
        assert!(refused(config(Some("[1]"))).contains("--config: \"[1]\" must be a JSON object"));
        assert!(refused(config(Some("{"))).contains("is not JSON"));
        assert!(refused(config(Some("@/no/such/file"))).contains("/no/such/file"));
    }

    #[test]
    fn keys_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let given = |text: String| keys(&KeyArgs { keys: vec![text], ..KeyArgs::default() });
        let granted = given(format!("k={}", path.display())).unwrap();
        assert_eq!(format!("{granted:?}"), "{\"k\": Key(..)}");
        fs::write(&path, "short\n").unwrap();
        assert!(refused(given(format!("k={}", path.display()))).contains("has 5 bytes"));
        assert!(refused(given("k".to_owned())).contains("must be NAME=FILE"));
        assert!(refused(given("k=/no/such/file".to_owned())).contains("/no/such/file"));
    }

    #[test]
    fn a_component_is_a_file_or_built_in() {
        assert!(refused(component("no-such.wasm")).contains("\"no-such.wasm\" cannot be read"));
        assert!(refused(component("builtin:nothing")).contains("nothing"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.wasm");
        fs::File::create(&path).unwrap().set_len(Limits::default().file_bytes + 7).unwrap();
        let said = refused(component(&path.display().to_string()));
        assert!(said.contains("has 67108871 bytes, more than the 67108864"), "{said}");
    }
}
