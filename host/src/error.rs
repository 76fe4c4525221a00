//! What the program itself can meet, beside the errors of its crates.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
        }
    }

    /// What the program must do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::GoldenCases { .. } => Kind::Config,
            _ => Kind::Failed,
        }
    }
}
