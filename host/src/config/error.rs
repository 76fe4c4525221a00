//! What is wrong with the command line or the configuration file. Exit code 2.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("reading the configuration file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error("{what} is missing: give {flag}, set {variable}, or write {key} in the --config file")]
    Missing { what: &'static str, flag: &'static str, variable: &'static str, key: &'static str },
    #[error("{of}: {what} is missing: give {flag} or set {variable}")]
    MissingFlag { of: &'static str, what: &'static str, flag: &'static str, variable: &'static str },
    #[error("{}: {cause}", path.display())]
    InFile { path: PathBuf, cause: Box<Error> },
    #[error("{key}: {value:?} {problem}")]
    Value { key: String, value: String, problem: String },
    #[error("reading the plugin {}: check the path given to --plugin", path.display())]
    Plugin {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("reading the plugin folder {}: check the path given to --plugin-dir", path.display())]
    PluginFolder {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("there is no built-in plugin {name:?}; there are: {known}")]
    UnknownBuiltin { name: String, known: String },
    #[error(
        "builtin:{name}: this program was built without its plugins; build it with `cargo xtask \
         build`, or give a component file"
    )]
    NoBuiltins { name: String },
    #[error("plugin {plugin}: key {key:?} is not defined: add [keys.{key}] with its file")]
    UnknownKey { plugin: String, key: String },
    #[error(
        "plugin {plugin}: lookup {name:?} is not defined: add [lookups.{name}] or [calendars.{name}]"
    )]
    UnknownLookup { plugin: String, name: String },
    #[error(transparent)]
    Lookup(#[from] audit_lookup::Error),
    #[error("keys.{name}.id: {cause}")]
    KeyId { name: String, cause: audit_chain::KeyIdError },
    #[error("reading the key {name:?} from {}", path.display())]
    KeyFile {
        name: String,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "the key {name:?} in {} has {n_bytes} bytes; a key needs at least 16", path.display()
    )]
    ShortKey { name: String, path: PathBuf, n_bytes: usize },
    #[error("{}: it exists already; give another --dir, or remove it", path.display())]
    Exists { path: PathBuf },
    #[error(
        "there is no plugin.toml in {}: name the folder of a project that `audit-host plugin new` made",
        path.display()
    )]
    NoProject { path: PathBuf },
    #[error("building {plugin} needs {tool}, which is not on PATH: install {install}")]
    MissingTool { plugin: String, tool: &'static str, install: &'static str },
    #[error("building {plugin}")]
    Toolchain {
        plugin: String,
        #[source]
        cause: audit_toolchain::Error,
    },
}

impl Error {
    /// The same, with the file that it comes from.
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), cause: Box::new(self) }
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Lookup(cause) => cause.code(),
            Self::InFile { cause, .. } => cause.code(),
            _ => "AH-0100",
        }
    }

    /// What the program must do about it.
    #[expect(clippy::unused_self, reason = "as of every error type")]
    pub(crate) fn kind(&self) -> audit_core::Kind {
        audit_core::Kind::Config
    }
}
