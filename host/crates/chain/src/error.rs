//! What can go wrong with a plugin.

use std::path::PathBuf;

use audit_core::Kind;

/// An error of this crate. `plugin` is the name under which the user gave the plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The WebAssembly engine did not start.
    ///
    /// Cause: the system refused a thread or memory, or wasmtime does not support this processor.
    ///
    /// Remedy: check the limits of the process (threads, address space), then start again.
    #[error("starting the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),

    /// The file is not a WebAssembly component.
    ///
    /// Cause: the file is empty, is another kind of file, or is a core module: the output of a compiler
    /// that was not made into a component.
    ///
    /// Remedy: correct the path, or name the component that `audit-host plugin build` writes.
    #[error(
        "{plugin} is not a WebAssembly component: {found}; build it as docs/plugin-authors.md shows and name \
         the component"
    )]
    NotAComponent { plugin: String, found: &'static str },

    /// The component does not compile.
    ///
    /// Cause: the file was truncated or damaged, or it uses a WebAssembly feature that the engine does not
    /// support.
    ///
    /// Remedy: copy or build it again.
    #[error("compiling {plugin}: the file is damaged, or made for another version of WebAssembly")]
    Compile {
        plugin: String,
        #[source]
        cause: wasmtime::Error,
    },

    /// Compiling the component was given up.
    ///
    /// Cause: compiling takes place in a process of its own, with half of the memory that is left, at most 4 GiB,
    /// 120 seconds of a processor and five minutes. The component needed more of one of them, its compiled code is
    /// more than eight times as large as itself, or describing its functions and instances takes more than 4 MiB. A
    /// file that was made to exhaust the host ends like that; a large component does so on a machine that is too
    /// small for it.
    ///
    /// Remedy: do not run a component from somebody whom you do not trust. Give the process more memory for one that
    /// you trust; once it is in the cache of compiled plugins, it needs none.
    #[error("compiling {plugin} was given up: {problem}")]
    CompileLimit { plugin: String, problem: String },

    /// The compiler did not start.
    ///
    /// Cause: the program starts itself again to compile a plugin, and could not: its file is gone and /proc is not
    /// mounted, the system refused a process or a pipe, or the file was replaced by another version.
    ///
    /// Remedy: follow the message: mount /proc, raise the limit of processes, or restart audit-host.
    #[error("starting the compiler for {plugin}: {problem}")]
    NoCompiler { plugin: String, problem: String },

    /// An instance of the plugin would take too much of the host's memory.
    ///
    /// Cause: the component has more globals, functions or imports, or instantiates its modules more often, than
    /// fits into `limits.memory-bytes-max` a second time: the host keeps data about each of them.
    ///
    /// Remedy: build the component without what it does not use. For one that you trust, raise
    /// `limits.memory-bytes-max`.
    #[error("{plugin} is not instantiated: {problem}")]
    Unbounded { plugin: String, problem: String },

    /// The component is not a plugin of audit-host.
    ///
    /// Cause: it was built for another version of the contract, lacks an export, or imports what the host
    /// does not provide to plugins, such as HTTP.
    ///
    /// Remedy: build it with the SDK of this version, without what needs that import. docs/plugin-authors.md
    /// lists what a plugin may import.
    #[error("{plugin} is a component, but not a plugin of audit-host: {problem}")]
    OtherWorld { plugin: String, problem: String },

    /// A call failed while the plugin was loaded.
    ///
    /// Cause: the plugin trapped, or took longer than `limits.setup-time`, while it was instantiated,
    /// described or configured.
    ///
    /// Remedy: correct the plugin; the message has its last error and the place in its source.
    #[error("calling {function} of {plugin}: {problem}")]
    Call { plugin: String, function: &'static str, problem: String },

    /// The plugin's description is not valid.
    ///
    /// Cause: what `describe` or `configure` returned breaks the contract: the name, the version, a state
    /// or key columns of a transform, or too many columns.
    ///
    /// Remedy: correct the plugin.
    #[error("{plugin} has an invalid description: {problem}")]
    Description { plugin: String, problem: String },

    /// The plugin rejects its configuration.
    ///
    /// Cause: a key of the plugin's `config` is missing, unknown or has a value that the plugin does not
    /// accept, or names a key or lookup that is not granted to the plugin.
    ///
    /// Remedy: correct that key of its `config`; a lookup must stand in the plugin's `lookups`, a key in
    /// its `keys`.
    #[error("configuring {plugin}: key {key:?}: {message}")]
    Config { plugin: String, key: String, message: String },

    /// The plugin does not fit into the chain.
    ///
    /// Cause: the plugins do not work together in their order. For example, a plugin reads a column that
    /// does not exist at its position, writes a column that it must not, replaces a column although its
    /// `on-error` is `pass`, runs twice, or counts by a column that a plugin before it replaces; or its
    /// `scope` does not suit it.
    ///
    /// Remedy: follow the message: correct the order of the plugins, or the plugin's entry or `config`.
    #[error("{plugin} does not fit into the chain: {problem}")]
    Misfit { plugin: String, problem: String },

    /// A reload would store a column as it came.
    ///
    /// Cause: a plugin would stop replacing the column, by a new version or configuration of it, and no other plugin
    /// of the chain would replace it. If two plugins change together, the one that takes over was rejected.
    ///
    /// Remedy: restore the version or the configuration, or correct the rejected plugin: its own error is reported
    /// too. To give the column up, restart with `--allow-unredacted COLUMN`.
    #[error(
        "{plugin} does not fit into the chain: no plugin would replace the column {column:?} any more: restore \
         what replaced it, or correct the rejected plugin that is to replace it; only a restart with \
         --allow-unredacted {column} stores it as it comes"
    )]
    Exposed { plugin: String, column: String },

    /// A plugin failed on rows, and its `on-error` is `halt`.
    ///
    /// Cause: the plugin failed on the rows that the message names. Nothing of the batch was committed.
    ///
    /// Remedy: correct the plugin, or set `on-error = "quarantine"`; see
    /// [failing plugins](operations/failing-plugins.md).
    #[error("{plugin} failed on {n_rows} rows{place}, and its on-error is \"halt\": {problem}")]
    Halted { plugin: String, n_rows: usize, place: String, problem: String },

    /// A detector lost its state, and its `on-error` is `halt`.
    ///
    /// Cause: the detector could not be saved or rebuilt after a failure. Nothing of the epoch was
    /// committed.
    ///
    /// Remedy: correct the plugin; a restart goes on from the last committed state.
    #[error("{plugin} lost its state, and its on-error is \"halt\": {problem}")]
    Lost { plugin: String, problem: String },

    /// The cache of compiled plugins is not usable.
    ///
    /// Cause: the folder cannot be created, or users other than the one that runs audit-host can write to
    /// it or to a folder above it.
    ///
    /// Remedy: correct the folder's owner and mode (700), name another folder (`--plugin-cache`, key
    /// `plugins.cache`), or turn the cache off (`off`).
    #[error(
        "the plugin cache {} is not usable: {problem}; name another folder ([plugins] cache) or turn the \
         cache off (\"off\")", folder.display()
    )]
    Cache { folder: PathBuf, problem: String },

    /// A reload would add a column to the table.
    ///
    /// Cause: the plugin or its new configuration adds a column. Columns are added to the table only at a
    /// start.
    ///
    /// Remedy: restart audit-host.
    #[error(
        "{plugin} adds the column {column:?} ({data_type}), which the table does not have: a restart adds it"
    )]
    NewColumn { plugin: String, column: String, data_type: String },

    /// A reload would change the order of the plugins.
    ///
    /// Cause: the plugins are configured in another order. The table records which plugins judged a row,
    /// but not their order, so the order is fixed for a run.
    ///
    /// Remedy: restart audit-host, or restore the order.
    #[error("changing the order of the plugins from {now} to {wanted} needs a restart")]
    Order { now: String, wanted: String },

    /// The chain has no plugin of that name.
    ///
    /// Cause: a shadow or a change names a plugin that does not run.
    ///
    /// Remedy: use one of the names in the message; it is the plugin's name, not its file.
    #[error("the chain has no plugin {name:?}; available: {known}")]
    Unknown { name: String, known: String },

    /// The plugin has no shadow.
    ///
    /// Cause: a shadow was to be ended that does not run.
    ///
    /// Remedy: none is needed.
    #[error("no shadow runs beside the plugin {name:?}")]
    NoShadow { name: String },

    /// The plugin cannot restore a saved state.
    ///
    /// Cause: the plugin does not support the state's version, the state is damaged, its scope is another
    /// one, or a new version is slower than the stream.
    ///
    /// Remedy: use the version that wrote the state or one that reads it, or start with another `--group`.
    #[error(
        "{plugin} cannot take over the saved state ({problem}): use a version that reads it, or start with \
         another --group"
    )]
    Restore { plugin: String, problem: String },

    /// A column that must stay replaced is not replaced.
    ///
    /// Cause: no plugin of the chain declares to replace the column, which `plugins.require-replaced` names, or which
    /// the group has replaced before: a plugin is missing, or its configuration lost a part.
    ///
    /// Remedy: restore the plugin or its configuration. To store the column as it comes from now on, start with
    /// `--allow-unredacted COLUMN`, which is recorded in the table and alerted.
    #[error(
        "no plugin replaces {columns}, which must stay replaced (plugins.require-replaced, or replaced by this \
         group before): restore the plugin or its configuration; to store what comes, start once with \
         --allow-unredacted {flag}"
    )]
    Unreplaced { columns: String, flag: String },

    /// A column that must stay replaced comes out as it went in.
    ///
    /// Cause: marked values passed through instances of the transforms, and came out, or their rows did not come out at
    /// all, so that nothing is proved. The plugin declares to replace the column, but does not, or no longer hides what
    /// it has hidden before: it is another component, or its configuration lost a part.
    ///
    /// Remedy: as for AH-0460.
    #[error(
        "marked values come out of the transforms: {columns}; the columns must stay replaced \
         (plugins.require-replaced, or replaced by this group before): restore the plugin or its configuration; \
         to store what comes, start once with --allow-unredacted {flag}"
    )]
    Leaks { columns: String, flag: String },

    /// It cannot be shown what the transforms hide.
    ///
    /// Cause: the plugins failed on marked values, of which they are given ten, and the run of one of them ends at a
    /// failure (`on-error = "halt"`).
    ///
    /// Remedy: correct the plugin that the message names.
    #[error("passing marked values through the transforms: {problem}")]
    Canary { problem: String },

    /// A batch for the plugins could not be built.
    ///
    /// Cause: Arrow refused to project, split or join columns, for example as a text column of one batch
    /// would exceed 2 GiB.
    ///
    /// Remedy: report it with the message; smaller batches may avoid it.
    #[error("building a batch for the plugins")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Halted { .. }
            | Self::Lost { .. }
            | Self::Engine(_)
            | Self::NoCompiler { .. }
            | Self::Arrow(_) => Kind::Failed,
            _ => Kind::Config,
        }
    }

    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(_) => "AH-0401",
            Self::NotAComponent { .. } => "AH-0402",
            Self::Compile { .. } => "AH-0403",
            Self::OtherWorld { .. } => "AH-0404",
            Self::Call { .. } => "AH-0405",
            Self::Description { .. } => "AH-0406",
            Self::Config { .. } => "AH-0407",
            Self::Misfit { .. } => "AH-0408",
            Self::Exposed { .. } => "AH-0409",
            Self::Halted { .. } => "AH-0410",
            Self::Lost { .. } => "AH-0411",
            Self::Cache { .. } => "AH-0412",
            Self::NewColumn { .. } => "AH-0413",
            Self::Order { .. } => "AH-0414",
            Self::Unknown { .. } => "AH-0415",
            Self::NoShadow { .. } => "AH-0416",
            Self::Restore { .. } => "AH-0417",
            Self::Arrow(_) => "AH-0418",
            Self::CompileLimit { .. } => "AH-0450",
            Self::NoCompiler { .. } => "AH-0451",
            Self::Unbounded { .. } => "AH-0452",
            Self::Unreplaced { .. } => "AH-0460",
            Self::Leaks { .. } => "AH-0461",
            Self::Canary { .. } => "AH-0462",
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let attempted = match &error {
            Error::Halted { .. } | Error::Lost { .. } => {
                "judging a batch; nothing of it was committed"
            }
            Error::Engine(_) | Error::Arrow(_) => "running plugins",
            _ => "loading plugins",
        };
        Self::caused_by(error.kind(), error.code(), attempted, error)
    }
}
