//! What can go wrong with a plugin.

use audit_core::Kind;

/// An error of this crate. `plugin` is the name under which the user gave the plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("starting the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    #[error(
        "{plugin} is not a WebAssembly component: {found}; build it as `docs/plugins` shows and name \
         the component"
    )]
    NotAComponent { plugin: String, found: &'static str },
    #[error("compiling {plugin}: the file is damaged, or made for another version of WebAssembly")]
    Compile {
        plugin: String,
        #[source]
        cause: wasmtime::Error,
    },
    #[error(
        "{plugin} is a component, but not a plugin of the world audit-host:plugin/plugin@0.1.0: \
         compare its imports and exports with wit/"
    )]
    OtherWorld {
        plugin: String,
        #[source]
        cause: wasmtime::Error,
    },
    #[error("calling {function} of {plugin}")]
    Call {
        plugin: String,
        function: &'static str,
        #[source]
        cause: wasmtime::Error,
    },
    #[error("{plugin} describes itself wrongly: {problem}")]
    Description { plugin: String, problem: String },
    #[error("configuring {plugin}: key {key:?}: {message}")]
    Config { plugin: String, key: String, message: String },
    #[error("{plugin} does not fit into the chain: {problem}")]
    Misfit { plugin: String, problem: String },
    #[error("{plugin} answered wrongly in {function}: {problem}")]
    Fault { plugin: String, function: &'static str, problem: String },
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
            Error::Call { function: "process" | "snapshot", .. } | Error::Fault { .. } => {
                (Kind::Failed, "judging a batch; nothing of it was committed")
            }
            Error::Engine(_) | Error::Arrow(_) => (Kind::Failed, "running plugins"),
            _ => (Kind::Config, "loading plugins"),
        };
        Self::caused_by(kind, attempted, error)
    }
}
