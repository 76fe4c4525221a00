//! The plugins that are wanted, from flags, the configuration file and a folder. Read again whenever one of
//! these changes while the program runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use audit_chain::{Limits, OnError, Scope};
use audit_lookup::Definitions;

use super::error::Error;
use super::file::{self, File};
use super::grants::{self, Grants, columns};
use super::keys::KeyEntries;
use super::plugin_settings::Plugin;
use super::sections::Plugins;

/// A plugin as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginEntry {
    /// A component file or `builtin:NAME`, as written.
    pub(crate) path: String,
    /// JSON text that is an object.
    pub(crate) config: String,
    pub(crate) keys: Vec<String>,
    /// Tables and calendars that it may query.
    pub(crate) lookups: Vec<String>,
    pub(crate) on_error: OnError,
    pub(crate) scope: Scope,
    pub(crate) keyed_by: Vec<String>,
    pub(crate) limits: Limits,
    /// SHA-256 that the component must have, in lower-case hex.
    pub(crate) sha256: Option<String>,
    /// The columns that it may read and write, if the configuration says so.
    pub(crate) reads: Option<Vec<String>>,
    pub(crate) writes: Option<Vec<String>>,
    /// Whether it came out of the plugin folder.
    pub(crate) from_folder: bool,
    /// Whether its settings are those of a file beside it, in the plugin folder.
    pub(crate) configured_beside: bool,
    /// The name under which the configuration file grants it something.
    pub(crate) granted_by: Option<String>,
}

impl PluginEntry {
    /// A plugin with an empty configuration.
    pub(crate) fn plain(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            config: "{}".to_owned(),
            keys: Vec::new(),
            lookups: Vec::new(),
            on_error: OnError::default(),
            scope: Scope::default(),
            keyed_by: Vec::new(),
            limits: Limits::default(),
            sha256: None,
            reads: None,
            writes: None,
            from_folder: false,
            configured_beside: false,
            granted_by: None,
        }
    }

    /// Whether only its path is configured.
    pub(crate) fn is_bare(&self) -> bool {
        *self
            == Self {
                from_folder: self.from_folder,
                configured_beside: self.configured_beside,
                granted_by: self.granted_by.clone(),
                sha256: self.sha256.clone(),
                reads: self.reads.clone(),
                writes: self.writes.clone(),
                ..Self::plain(&self.path)
            }
    }

    /// The name of a built-in plugin.
    pub(crate) fn builtin(&self) -> Option<&str> {
        self.path.strip_prefix("builtin:")
    }

    /// The file's absolute path, or `builtin:NAME`: what the table calls it.
    pub(crate) fn origin(&self) -> String {
        if self.builtin().is_some() {
            return self.path.clone();
        }
        let absolute = std::path::absolute(&self.path);
        absolute.map_or_else(|_| self.path.clone(), |path| path.display().to_string())
    }
}

/// Where plugins come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct PluginPlaces {
    /// The configuration file, if there is one.
    pub(crate) config: Option<PathBuf>,
    /// `--plugin`: with these the list of the file only configures.
    pub(crate) flags: Vec<String>,
    /// `--plugin-dir`.
    pub(crate) folder: Option<PathBuf>,
    /// `--shadow PLUGIN=FILE`.
    pub(crate) shadows: Vec<(String, String)>,
}

/// The plugins in their order, and what they need.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) plugins: Vec<PluginEntry>,
    pub(crate) keys: KeyEntries,
    pub(crate) lookups: Definitions,
    /// By plugin the file of the candidate beside it.
    pub(crate) shadows: BTreeMap<String, String>,
    /// Columns that must be replaced; empty if the file does not say.
    pub(crate) require_replaced: Vec<String>,
    pub(crate) grants: Grants,
}

impl PluginPlaces {
    /// Reads everything again. With the files of the plugin folder whose settings cannot be read: what is wrong with
    /// one plugin holds up no other.
    pub(crate) fn look(&self) -> Result<(Wanted, Vec<(PathBuf, Error)>), Error> {
        let mut broken = Vec::new();
        let wanted =
            self.wanted_but(&file::read_given(self.config.as_deref())?, |path, error| {
                broken.push((path, error));
                Ok(())
            })?;
        Ok((wanted, broken))
    }

    /// What is wanted, with a configuration file that was read already.
    pub(super) fn wanted(&self, file: &File) -> Result<Wanted, Error> {
        self.wanted_but(file, |_, error| Err(error))
    }

    /// The same, and `broken` decides about each component of the folder whose settings cannot be read.
    fn wanted_but(
        &self,
        file: &File,
        broken: impl FnMut(PathBuf, Error) -> Result<(), Error>,
    ) -> Result<Wanted, Error> {
        if let Some(config) = &self.config {
            file::check_writers(config)?;
        }
        let listed = listed(&self.flags, file);
        let mut plugins = listed.map_err(|cause| match &self.config {
            Some(path) => cause.in_file(path),
            None => cause,
        })?;
        let folder = self.folder.as_ref().or(file.plugins.dir.as_ref());
        if let Some(folder) = folder {
            let given: BTreeSet<String> = plugins.iter().map(PluginEntry::origin).collect();
            file::check_writers(folder)?;
            let found = in_folder(folder, file, broken)?;
            plugins.extend(found.into_iter().filter(|entry| !given.contains(&entry.origin())));
        }
        let mut shadows = BTreeMap::new();
        for (plugin, candidate) in
            file.plugins.shadow.iter().chain(self.shadows.iter().map(|(p, c)| (p, c)))
        {
            shadows.insert(plugin.clone(), candidate.clone());
        }
        let (keys, lookups) = (file.keys.clone(), definitions(file));
        let required = file.plugins.require_replaced.clone();
        let require_replaced = columns(&Plugins::require_replaced(), required)?;
        let (folder, grants) = (folder.cloned(), file.plugins.grants.clone());
        Ok(Wanted { folder, plugins, keys, lookups, shadows, require_replaced, grants })
    }
}

/// Keys and lookups of the configuration file, for commands that run no flow.
pub(crate) fn lookups_and_keys(path: &Path) -> Result<(Definitions, KeyEntries), Error> {
    let file = file::read(path)?;
    Ok((definitions(&file), file.keys))
}

/// The plugins that a run with this file has, and the key file that seals their states, for commands that run
/// no flow.
pub(crate) fn plugins_and_key_file(path: &Path) -> Result<(Wanted, Option<PathBuf>), Error> {
    let file = file::read(path)?;
    let places = PluginPlaces { config: Some(path.to_owned()), ..PluginPlaces::default() };
    Ok((places.wanted(&file)?, file.dead_letters.key_file))
}

fn definitions(file: &File) -> Definitions {
    Definitions { tables: file.lookups.clone(), calendars: file.calendars.clone() }
}

/// The plugins of the command line, with the configuration that the file has for the same path; or
/// those of the file.
fn listed(flags: &[String], file: &File) -> Result<Vec<PluginEntry>, Error> {
    let entries: Vec<_> =
        file.listed.iter().map(|plugin| entry(plugin, file)).collect::<Result<_, _>>()?;
    let origin_of = |path: &str| PluginEntry::plain(path).origin();
    if flags.is_empty() {
        return Ok(entries);
    }
    let of_flag = |path: &String| {
        // However its path is written.
        let configured = entries.iter().find(|entry| entry.origin() == origin_of(path));
        if let Some(configured) = configured {
            return Ok(configured.clone());
        }
        entry(&Plugin { path: path.clone(), ..Plugin::default() }, file)
    };
    flags.iter().map(of_flag).collect()
}

/// Every component of the folder, by file name; `NAME.toml` beside `NAME.wasm` holds what a `[[plugin]]`
/// would.
fn in_folder(
    folder: &Path,
    file: &File,
    mut broken: impl FnMut(PathBuf, Error) -> Result<(), Error>,
) -> Result<Vec<PluginEntry>, Error> {
    let failed = |cause| Error::PluginFolder { path: folder.to_owned(), cause };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut entries = Vec::new();
    for path in paths {
        match of_folder(&path, file) {
            Ok(entry) => entries.push(entry),
            Err(error) => broken(path, error)?,
        }
    }
    Ok(entries)
}

fn of_folder(path: &Path, file: &File) -> Result<PluginEntry, Error> {
    let Some(text) = path.to_str() else {
        let shown = path.display().to_string();
        let problem = "is a file name that is not UTF-8: rename it";
        return Err(Plugins::dir().refuse(&shown, problem));
    };
    let beside = path.with_extension("toml");
    // A file that cannot be checked is not treated as absent: the plugin would run with other settings.
    let failed = |cause| Error::Read { path: beside.clone(), cause };
    let has_file = beside.try_exists().map_err(failed)?;
    let mut plugin = if has_file { file::read_plugin(&beside)? } else { Plugin::default() };
    text.clone_into(&mut plugin.path);
    let entry = entry(&plugin, file).map_err(|cause| cause.in_file(&beside))?;
    Ok(PluginEntry { from_folder: true, configured_beside: has_file, ..entry })
}

fn entry(plugin: &Plugin, file: &File) -> Result<PluginEntry, Error> {
    let grant = grants::find(&file.plugins.grants, &plugin.path)?;
    let granted_by = grant.map(|(name, _)| name.to_owned());
    let plugin = &match grant {
        Some((_, grant)) => grants::complete(plugin.clone(), grant),
        None => plugin.clone(),
    };
    if plugin.path.is_empty() {
        let (key, value) = ("plugin.path".to_owned(), String::new());
        let problem = "is empty: name a component file or builtin:NAME".to_owned();
        return Err(Error::Value { key, value, problem });
    }
    if let Some(key) = plugin.keys.iter().find(|key| !file.keys.contains_key(*key)) {
        return Err(Error::UnknownKey { plugin: plugin.path.clone(), key: key.clone() });
    }
    let is_unknown =
        |name: &&String| !file.lookups.contains_key(*name) && !file.calendars.contains_key(*name);
    if let Some(name) = plugin.lookups.iter().find(is_unknown) {
        return Err(Error::UnknownLookup { plugin: plugin.path.clone(), name: name.clone() });
    }
    Ok(PluginEntry {
        path: plugin.path.clone(),
        config: serde_json::json!(plugin.config).to_string(),
        keys: plugin.keys.clone(),
        lookups: plugin.lookups.clone(),
        on_error: plugin.on_error,
        scope: plugin.scope,
        keyed_by: plugin.keyed_by.clone(),
        limits: plugin.limits.resolve(&plugin.path)?,
        sha256: grants::digest(&plugin.path, plugin.sha256.as_ref())?,
        reads: plugin.reads.clone(),
        writes: plugin.writes.clone(),
        from_folder: false,
        configured_beside: false,
        granted_by,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wanted(text: &str, flags: &[&str]) -> Result<Wanted, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let flags = flags.iter().map(ToString::to_string).collect();
        let config = Some(file.path().to_owned());
        PluginPlaces { config, flags, ..PluginPlaces::default() }.look().map(|(wanted, _)| wanted)
    }

    #[test]
    fn limits_out_of_range_name_plugin_and_key() {
        for (limit, problem) in [
            (
                "batch-time = \"1h\"",
                "plugin a.wasm: limits.batch-time: \"1h\" must be from 10ms to 10m",
            ),
            ("batch-time = \"5\"", "invalid duration \"5\""),
            ("memory-bytes-max = 3", "limits.memory-bytes-max: \"3\" must be from 1048576 to"),
            ("instances-max = 0", "limits.instances-max: \"0\" must be from 1 to 1000"),
            ("memory-bytes = 1", "unknown field `memory-bytes`"),
        ] {
            let text = format!("[[plugin]]\npath = \"a.wasm\"\nlimits = {{ {limit} }}\n");
            let error = wanted(&text, &[]).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let text =
            "[[plugin]]\npath = \"a\"\nlimits = { batch-time = \"2s\", poison-rows-max = 0 }";
        let limits = wanted(text, &[]).unwrap().plugins[0].limits;
        assert_eq!((limits.batch_time, limits.poison_rows), (Duration::from_secs(2), 0));
    }

    #[test]
    fn a_folder_is_taken_by_name_with_the_configuration_beside_each_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["20-b.wasm", "10-a.wasm", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let toml = "on-error = \"halt\"\nconfig = { x = 1 }\n";
        std::fs::write(folder.path().join("20-b.toml"), toml).unwrap();
        let places =
            PluginPlaces { folder: Some(folder.path().to_owned()), ..PluginPlaces::default() };
        let plugins = places.look().unwrap().0.plugins;
        assert_eq!(plugins.len(), 2);
        assert!(plugins[0].path.ends_with("10-a.wasm"));
        assert_eq!(plugins[1].on_error, OnError::Halt);
        assert_eq!(plugins[1].config, r#"{"x":1}"#);
        std::fs::write(folder.path().join("20-b.toml"), "on-eror = 1").unwrap();
        let (wanted, broken) = places.look().unwrap();
        assert_eq!(wanted.plugins.len(), 1, "the other one is read");
        let error = broken[0].1.to_string();
        assert!(
            error.contains("20-b.toml") && error.contains("did you mean `on-error`"),
            "{error}"
        );
        let absent = PluginPlaces { folder: Some("/no/such".into()), ..PluginPlaces::default() };
        assert!(absent.look().unwrap_err().to_string().contains("/no/such"));
    }

    #[test]
    fn a_flag_takes_the_configuration_of_its_path() {
        let text = "[[plugin]]\npath = \"a\"\nconfig = { x = 1 }\n[[plugin]]\npath = \"b\"\n";
        let plugins = wanted(text, &["c", "./a"]).unwrap().plugins;
        assert_eq!(plugins[0], PluginEntry::plain("c"));
        assert_eq!(plugins[1].config, r#"{"x":1}"#);
    }
}
