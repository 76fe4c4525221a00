//! What can go wrong with a plugin.

use std::path::PathBuf;

use audit_core::Kind;

/// An error of this crate. `plugin` is the name under which the user gave the plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("starting the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    #[error(
        "{plugin} is not a WebAssembly component: {found}; build it as docs/plugin-authors.md shows and name \
         the component"
    )]
    NotAComponent { plugin: String, found: &'static str },
    #[error("compiling {plugin}: the file is damaged, or made for another version of WebAssembly")]
    Compile {
        plugin: String,
        #[source]
        cause: wasmtime::Error,
    },
    #[error("{plugin} is a component, but not a plugin of audit-host: {problem}")]
    OtherWorld { plugin: String, problem: String },
    #[error("calling {function} of {plugin}: {problem}")]
    Call { plugin: String, function: &'static str, problem: String },
    #[error("{plugin} describes itself wrongly: {problem}")]
    Description { plugin: String, problem: String },
    #[error("configuring {plugin}: key {key:?}: {message}")]
    Config { plugin: String, key: String, message: String },
    #[error("{plugin} does not fit into the chain: {problem}")]
    Misfit { plugin: String, problem: String },
    #[error(
        "{plugin} cannot judge {n_rows} of the rows {place}, and its on-error is \"halt\": {problem}"
    )]
    Halted { plugin: String, n_rows: usize, place: String, problem: String },
    #[error("{plugin} lost what it remembered, and its on-error is \"halt\": {problem}")]
    Lost { plugin: String, problem: String },
    #[error(
        "{} cannot hold compiled plugins: {problem}; name another folder ([plugins] cache) or turn the \
         cache off (\"off\")", folder.display()
    )]
    Cache { folder: PathBuf, problem: String },
    #[error(
        "{plugin} adds the column {column:?} ({data_type}), which the table does not have: a restart adds it"
    )]
    NewColumn { plugin: String, column: String, data_type: String },
    #[error(
        "the order of the plugins is {now} and would become {wanted}: another order needs a restart"
    )]
    Order { now: String, wanted: String },
    #[error("there is no plugin {name:?} in the chain; there are: {known}")]
    Unknown { name: String, known: String },
    #[error(
        "{plugin} cannot take over its state of the last run ({problem}): give it the version that \
         wrote the state, or start with another --group"
    )]
    Restore { plugin: String, problem: String },
    #[error("building a batch for the plugins")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let (kind, attempted) = match &error {
            Error::Halted { .. } | Error::Lost { .. } => {
                (Kind::Failed, "judging a batch; nothing of it was committed")
            }
            Error::Engine(_) | Error::Arrow(_) => (Kind::Failed, "running plugins"),
            _ => (Kind::Config, "loading plugins"),
        };
        Self::caused_by(kind, "AH-0400", attempted, error)
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        "AH-0400"
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Halted { .. } | Self::Lost { .. } | Self::Engine(_) | Self::Arrow(_) => {
                Kind::Failed
            }
            _ => Kind::Config,
        }
    }
}
