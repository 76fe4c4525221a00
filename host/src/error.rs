//! What the program itself can meet, beside the errors of its crates.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_core::Kind;

use crate::golden;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder cannot be read or written.
    ///
    /// Cause: the operating system refused; its reason follows.
    ///
    /// Remedy: check the path and its permissions.
    #[error("{attempted} {}", path.display())]
    File {
        attempted: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Standard output cannot be written.
    ///
    /// Cause: the file or device behind it is full or gone. A closed pipe is not an error.
    ///
    /// Remedy: check where the output goes.
    #[error("writing to standard output")]
    Output(#[source] io::Error),
    /// The metrics endpoint cannot listen.
    ///
    /// Cause: the address of `--metrics` is in use, or is not an address of this machine.
    ///
    /// Remedy: choose another address or port.
    #[error("listening on {address} for metrics (--metrics)")]
    Metrics {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    /// The demo's broker lost records.
    ///
    /// Cause: the embedded broker drops the oldest records when it holds too many.
    ///
    /// Remedy: choose a lower `--rate`.
    #[error(
        "{n_kept} of {n_expected} records arrived: the embedded broker could not hold the rest; choose a \
         lower --rate"
    )]
    DemoIncomplete { n_kept: u64, n_expected: u64 },
    /// A plugin fails its own golden cases.
    ///
    /// Cause: a component carries golden cases, and one of them cannot be read or fails. Such a component is
    /// loaded neither at the start nor by a reload.
    ///
    /// Remedy: `audit-host plugin test FILE` shows the difference; use the version that passes.
    #[error("running the golden cases of {plugin}")]
    GoldenCases {
        plugin: String,
        #[source]
        cause: golden::Error,
    },
    /// A plugin lost its configuration.
    ///
    /// Cause: the configuration of a running plugin was emptied, cut off or deleted. With its defaults the
    /// plugin could store what it was configured to hide, so it is not reconfigured.
    ///
    /// Remedy: restore the configuration, or restart to run the plugin without it.
    #[error(
        "its configuration is gone (emptied, cut off or deleted); the plugin keeps the previous one: \
         restore it, or restart to run the plugin without"
    )]
    Unconfigured,
    /// A running plugin is no longer listed.
    ///
    /// Cause: its file is gone from the plugin folder, or the list of plugins was changed. A plugin never
    /// leaves a running chain.
    ///
    /// Remedy: restore the file or the list, or restart to run without the plugin.
    #[error(
        "neither the configuration nor the plugin folder lists {origin} any more (the file was deleted, or \
         the list was changed); the plugin keeps running until a restart"
    )]
    Unlisted { origin: String },
    /// A file holds another plugin than before.
    ///
    /// Cause: a component with another plugin name was written over the file of a running plugin.
    ///
    /// Remedy: put the other plugin into a file of its own, and list that file.
    #[error(
        "the file now holds the plugin {found:?}, but {running:?} runs from it: a file keeps its plugin; \
         put the other one into a file of its own"
    )]
    OtherPlugin { found: String, running: String },
    /// A plugin reads or writes more than it may.
    ///
    /// Cause: the component differs from the one that was accepted, or a file in the plugin folder configures it
    /// otherwise, and it reads or writes a column that it did not when it was accepted; or the configuration says
    /// which columns it may read and write, and this is none of them.
    ///
    /// Remedy: if the plugin may have the column, write the line of the message into the configuration file, at the
    /// place that it names. Otherwise restore the component.
    #[error(
        "the plugin {plugin} {verb} {columns}, for which it has no grant: if it may, write into the configuration \
         file (--config), at {place}: {line}"
    )]
    NotGranted { plugin: String, verb: &'static str, columns: String, place: String, line: String },
    /// A file in the plugin folder is of a plugin that nobody has named.
    ///
    /// Cause: the file came into the folder after the folder was accepted. It was not compiled.
    ///
    /// Remedy: if the plugin is to run, write the line of the message into the configuration file. Otherwise remove
    /// the file.
    #[error(
        "{plugin} came into the plugin folder, and nothing grants it to run: if it is to, write into the \
         configuration file (--config) the line {line}"
    )]
    NeedsGrant { plugin: String, line: String },
    /// A file in the plugin folder would share the grant of another plugin.
    ///
    /// Cause: its name differs only in the leading digits from that of a file that was accepted before. It was not
    /// compiled.
    ///
    /// Remedy: to replace the plugin, write over its file. For another plugin, give the file another name, and write a
    /// `[plugins.grants.NAME]` for it.
    #[error(
        "{plugin} came into the plugin folder, and what {grant} grants is for {other}: if it is to run, give it \
         another name and a [plugins.grants.NAME] of its own"
    )]
    GrantTaken { plugin: String, grant: String, other: String },
    /// Very many files came into the plugin folder.
    ///
    /// Cause: nothing grants them to run. The first ones are named in refusals of their own.
    ///
    /// Remedy: remove the files, and find out who can write to the folder.
    #[error("{n_files} more files came into the plugin folder, and nothing grants them to run")]
    ManyFiles { n_files: usize },
    /// A plugin lost settings that it was accepted with.
    ///
    /// Cause: keys of the configuration of a plugin that replaces columns are gone, or its `sha256`: the file was cut
    /// off, or they were deleted. The plugin might store what it was told to hide, or be another one.
    ///
    /// Remedy: restore the file. If the keys were deleted on purpose, start once with `--allow-lost-settings PLUGIN`,
    /// which is recorded in the table and alerted.
    #[error(
        "{plugin} has lost {keys}: its configuration looks cut off; restore it, or, if that is intended, start \
         once with --allow-lost-settings {plugin}"
    )]
    LostSettings { plugin: String, keys: String },
    /// There is no such plugin to run a candidate beside.
    ///
    /// Cause: `--shadow` (key `plugins.shadow`) names a plugin that is not in the chain.
    ///
    /// Remedy: use one of the names that the message lists; it is the plugin's name, not its file.
    #[error("there is no plugin {plugin:?} in the chain; available: {known}")]
    NothingToShadow { plugin: String, known: String },
    /// A plugin was rejected before.
    ///
    /// Cause: the same component with the same configuration was rejected already, and did not change.
    ///
    /// Remedy: the log and `plugin history` have the reason; SIGHUP tries it again.
    #[error("rejected before")]
    RejectedBefore,
    /// Preparing a plugin panicked.
    ///
    /// Cause: a fault of audit-host that this component brings out. The running version goes on, and so do reloads.
    ///
    /// Remedy: report it with the component and the log.
    #[error(
        "preparing the plugin panicked; the running version goes on: report it with the component"
    )]
    PreparingPanicked,
    /// Preparing a plugin took too long.
    ///
    /// Cause: compiling the component, starting it and running its golden cases was not done in ten minutes. The
    /// running version goes on, and so do other reloads.
    ///
    /// Remedy: `audit-host plugin check FILE` shows where it takes so long. SIGHUP tries it again.
    #[error("preparing the plugin was not done within {limit:?}: it was given up")]
    PreparingOverdue { limit: Duration },
    /// The system refused a thread for preparing a plugin.
    ///
    /// Cause: the process or its control group has as many threads as it may.
    ///
    /// Remedy: raise that limit; SIGHUP tries the plugin again.
    #[error("starting a thread to prepare the plugin")]
    NoThread(#[source] io::Error),
    /// Reloading failed, and goes on.
    ///
    /// Cause: a fault of audit-host (it panicked), or a file system that does not answer. The loop that reloads was
    /// started again. The plugins that run are not affected.
    ///
    /// Remedy: report a panic with the log. Otherwise see whether the folders of the plugins, the configuration and
    /// the lookups can be read.
    #[error("reloading plugins failed and was started again: {problem}")]
    ReloadFailed { problem: String },
}

impl Error {
    /// The error of something attempted with a file or folder.
    pub(crate) fn file(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::File { attempted, path: path.to_owned(), cause }
    }

    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "AH-0800",
            Self::Output(_) => "AH-0801",
            Self::Metrics { .. } => "AH-0802",
            Self::DemoIncomplete { .. } => "AH-0803",
            Self::GoldenCases { .. } => "AH-0804",
            Self::Unconfigured => "AH-0805",
            Self::Unlisted { .. } => "AH-0806",
            Self::OtherPlugin { .. } => "AH-0807",
            Self::NothingToShadow { .. } => "AH-0808",
            Self::RejectedBefore => "AH-0809",
            Self::PreparingPanicked => "AH-0870",
            Self::PreparingOverdue { .. } => "AH-0871",
            Self::NoThread(_) => "AH-0872",
            Self::ReloadFailed { .. } => "AH-0873",
            Self::NotGranted { .. } => "AH-0875",
            Self::NeedsGrant { .. } => "AH-0876",
            Self::LostSettings { .. } => "AH-0877",
            Self::GrantTaken { .. } => "AH-0878",
            Self::ManyFiles { .. } => "AH-0879",
        }
    }

    /// What the program must do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::GoldenCases { .. }
            | Self::NotGranted { .. }
            | Self::NeedsGrant { .. }
            | Self::GrantTaken { .. }
            | Self::LostSettings { .. } => Kind::Config,
            _ => Kind::Failed,
        }
    }
}
