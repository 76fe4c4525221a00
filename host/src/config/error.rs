//! What is wrong with the command line or the configuration file. Exit code 2.

use std::path::{Path, PathBuf};

use audit_core::Kind;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration file cannot be read.
    ///
    /// Cause: the file of `--config`, or `NAME.toml` beside `NAME.wasm` in the plugin folder, is absent, not
    /// readable, not a regular file, not UTF-8, or larger than 1 MiB.
    ///
    /// Remedy: correct the path, or owner and mode of the file.
    #[error("reading the configuration file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The configuration file is not valid.
    ///
    /// Cause: the line is not TOML, a key is unknown, or a value has the wrong type. Also: a line of a
    /// project's or a golden case's file.
    ///
    /// Remedy: correct the line; the message suggests the nearest known key. All keys:
    /// [configuration](configuration.md).
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    /// A required setting is missing.
    ///
    /// Cause: neither a flag, nor a variable, nor the configuration file has it.
    ///
    /// Remedy: give it in one of the three ways that the message names.
    #[error("{what} is missing: give {flag}, set {variable}, or write {key} in the --config file")]
    Missing { what: &'static str, flag: String, variable: &'static str, key: String },
    /// Another flag needs this one.
    ///
    /// Cause: `generate --to kafka` has no brokers or no topic.
    ///
    /// Remedy: give the flag, or set the variable.
    #[error("{of}: {what} is missing: give {flag} or set {variable}")]
    MissingFlag { of: &'static str, what: &'static str, flag: &'static str, variable: &'static str },
    #[error("{}: {cause}", path.display())]
    InFile { path: PathBuf, cause: Box<Error> },
    /// A value is not valid.
    ///
    /// Cause: the flag or key that the message names has a value of the wrong form, or one that does not go
    /// with another setting.
    ///
    /// Remedy: as the message says. Forms and words: [configuration](configuration.md).
    #[error("{key}: {value:?} {problem}")]
    Value { key: String, value: String, problem: String },
    /// A duration is not valid.
    ///
    /// Cause: a time without a unit, of an unknown unit, or not longer than zero.
    ///
    /// Remedy: write a number and a unit, such as `500ms`, `5s` or `1h 30m`.
    #[error(
        "{key}: invalid duration {value:?}: write a number and a unit, for example 5s, 500ms or 1h"
    )]
    Duration { key: String, value: String },
    /// A value is out of range.
    ///
    /// Cause: a time or number is smaller or larger than its setting allows.
    ///
    /// Remedy: choose one in the range, or leave the key out. Ranges: [configuration](configuration.md).
    #[error("{key}: {value:?} must be {range}")]
    OutOfRange { key: String, value: String, range: String },
    /// A plugin's file cannot be read.
    ///
    /// Cause: `--plugin`, or `path` of a `[[plugin]]`, names a file that is absent, not readable, or not a
    /// regular file.
    ///
    /// Remedy: correct the path.
    #[error("reading the plugin {}: check the path given to --plugin", path.display())]
    Plugin {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The plugin folder cannot be read.
    ///
    /// Cause: `--plugin-dir` (key `plugins.dir`) names no folder, or one without read permission.
    ///
    /// Remedy: correct the path or the permission.
    #[error("reading the plugin folder {}: check the path given to --plugin-dir", path.display())]
    PluginFolder {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The built-in plugin is unknown.
    ///
    /// Cause: no plugin of this program has the name behind `builtin:`.
    ///
    /// Remedy: use one of the names in the message.
    #[error("there is no built-in plugin {name:?}; available: {known}")]
    UnknownBuiltin { name: String, known: String },
    /// The program has no built-in plugins.
    ///
    /// Cause: it was built with plain `cargo build`.
    ///
    /// Remedy: build it with `cargo xtask build`, or name a component file.
    #[error(
        "builtin:{name}: this program was built without its plugins; build it with `cargo xtask \
         build`, or give a component file"
    )]
    NoBuiltins { name: String },
    /// Other users can write to a file or folder of plugins.
    ///
    /// Cause: the configuration file, the plugin folder, a `NAME.toml` in it or a component belongs to another user
    /// than the one that runs audit-host (or root), or other users can write to it or to a folder above it. Whoever
    /// can write there decides what is stored.
    ///
    /// Remedy: `chown` it to the user of audit-host or to root, and `chmod go-w` what the message names. A sticky
    /// folder above it, such as `/tmp`, a group without other members and a read-only mount are accepted.
    #[error("{} is not used: {problem}", path.display())]
    Untrusted { path: PathBuf, problem: String },
    /// A file of the plugin folder grants something.
    ///
    /// Cause: `NAME.toml` beside `NAME.wasm` has one of `reads`, `writes`, `keys`, `lookups`, `limits` and `sha256`.
    /// A file in the folder configures its plugin; what the plugin may do is said by the configuration file.
    ///
    /// Remedy: move these keys to the lines that the message shows, in the file of `--config`.
    #[error(
        "{}: {keys}: a file of the plugin folder configures its plugin and grants nothing; write into the \
         configuration file (--config) instead: {lines}", path.display()
    )]
    GrantInFolder { path: PathBuf, keys: String, lines: String },
    /// A component is not the one that the configuration pins.
    ///
    /// Cause: the SHA-256 of the file differs from `sha256` of its `[[plugin]]` or `[plugins.grants.NAME]`. It was
    /// not compiled.
    ///
    /// Remedy: restore the component, or, if the new one is intended, write the digest of the message.
    #[error(
        "{plugin} is not the component that the configuration pins: its SHA-256 is {found}, not {pinned}; if it is \
         intended, write sha256 = \"{found}\""
    )]
    OtherComponent { plugin: String, found: String, pinned: String },
    /// A plugin uses a key that is not defined.
    ///
    /// Cause: `keys` of a `[[plugin]]` has a name without a `[keys.NAME]`.
    ///
    /// Remedy: add the `[keys.NAME]` with its file, or correct the name.
    #[error("plugin {plugin}: key {key:?} is not defined: add [keys.{key}] with its file")]
    UnknownKey { plugin: String, key: String },
    /// A plugin uses a lookup that is not defined.
    ///
    /// Cause: `lookups` of a `[[plugin]]` has a name without a `[lookups.NAME]` or `[calendars.NAME]`.
    ///
    /// Remedy: add one of the two, or correct the name.
    #[error(
        "plugin {plugin}: lookup {name:?} is not defined: add [lookups.{name}] or [calendars.{name}]"
    )]
    UnknownLookup { plugin: String, name: String },
    #[error(transparent)]
    Lookup(#[from] audit_lookup::Error),
    /// The id of a key is not valid.
    ///
    /// Cause: an id has other characters than letters, digits and `-`, is longer than 32, or two secrets of
    /// one key have the same id or the same bytes.
    ///
    /// Remedy: correct `id`, or the list of `previous` secrets.
    #[error("keys.{name}.id: {cause}")]
    KeyId { name: String, cause: audit_chain::KeyIdError },
    /// A key file cannot be read.
    ///
    /// Cause: the file of a `[keys.NAME]`, or of one of its `previous`, is absent or not readable.
    ///
    /// Remedy: correct the path, or owner and mode of the file.
    #[error("reading the key {name:?} from {}", path.display())]
    KeyFile {
        name: String,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// A key is too short.
    ///
    /// Cause: a key of less than 16 bytes could be guessed.
    ///
    /// Remedy: make one with `openssl rand -hex 32`.
    #[error(
        "the key {name:?} in {} has {n_bytes} bytes; a key needs at least 16", path.display()
    )]
    ShortKey { name: String, path: PathBuf, n_bytes: usize },
    /// A secret cannot be read.
    ///
    /// Cause: a `{ file = … }` of `[kafka.properties]` names a file that is absent, not readable, not UTF-8, empty or
    /// larger than 1 MiB, or an `{ env = … }` a variable that is not set or empty.
    ///
    /// Remedy: correct the path, owner or mode, or set the variable.
    #[error("reading {name} of [kafka.properties] from {place}: {problem}")]
    Secret { name: String, place: String, problem: String },
    /// The folder of a new plugin exists already.
    ///
    /// Cause: `plugin new` does not write into an existing folder.
    ///
    /// Remedy: give another `--dir`, or remove the folder.
    #[error("{}: it exists already; give another --dir, or remove it", path.display())]
    Exists { path: PathBuf },
    /// The folder is not a plugin's project.
    ///
    /// Cause: `plugin build` or `plugin test` was given a folder without `plugin.toml`.
    ///
    /// Remedy: name the folder that `plugin new` made.
    #[error(
        "there is no plugin.toml in {}: name the folder of a project that `audit-host plugin new` made",
        path.display()
    )]
    NoProject { path: PathBuf },
    /// A tool of the plugin's language is missing.
    ///
    /// Cause: Node.js or Python is not on `PATH`, or too old.
    ///
    /// Remedy: install what the message names.
    #[error("building {plugin} needs {tool}, which is not on PATH: install {install}")]
    MissingTool { plugin: String, tool: &'static str, install: &'static str },
    /// Building a plugin failed.
    ///
    /// Cause: the Rust tool chain is absent or cannot build for WebAssembly, or the compiler failed; the rest
    /// of the message says which.
    ///
    /// Remedy: follow the message; a compiler's own messages stand above it.
    #[error("building {plugin}")]
    Toolchain {
        plugin: String,
        #[source]
        cause: audit_toolchain::Error,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "AH-0100",
            Self::Parse { .. } => "AH-0101",
            Self::Missing { .. } => "AH-0102",
            Self::MissingFlag { .. } => "AH-0103",
            Self::Value { .. } => "AH-0104",
            Self::Duration { .. } => "AH-0105",
            Self::OutOfRange { .. } => "AH-0106",
            Self::UnknownKey { .. } => "AH-0107",
            Self::UnknownLookup { .. } => "AH-0108",
            Self::KeyId { .. } => "AH-0109",
            Self::KeyFile { .. } => "AH-0110",
            Self::ShortKey { .. } => "AH-0111",
            Self::Plugin { .. } => "AH-0112",
            Self::PluginFolder { .. } => "AH-0113",
            Self::UnknownBuiltin { .. } => "AH-0114",
            Self::NoBuiltins { .. } => "AH-0115",
            Self::Exists { .. } => "AH-0116",
            Self::NoProject { .. } => "AH-0117",
            Self::MissingTool { .. } => "AH-0118",
            Self::Toolchain { .. } => "AH-0119",
            Self::Untrusted { .. } => "AH-0120",
            Self::GrantInFolder { .. } => "AH-0121",
            Self::OtherComponent { .. } => "AH-0122",
            Self::Secret { .. } => "AH-0130",
            Self::InFile { cause, .. } => cause.code(),
            Self::Lookup(cause) => cause.code(),
        }
    }

    /// Whatever it is, the user must correct it.
    #[expect(clippy::unused_self, reason = "as the errors of all crates have it")]
    pub(crate) fn kind(&self) -> Kind {
        Kind::Config
    }

    /// The same, with the file that it comes from.
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), cause: Box::new(self) }
    }
}
