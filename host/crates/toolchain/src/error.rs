//! What can go wrong between sources and a component.

use std::path::PathBuf;

use crate::search::TARGET;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("starting `{line}`")]
    Start {
        line: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("`{line}` ended with {status}: {said}")]
    Ended { line: String, status: std::process::ExitStatus, said: String },
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// Nothing on this machine builds for wasm; the caller may install Debian's packages and search again.
    #[error(
        "no Rust tool chain here builds for {TARGET}: run `rustup target add {TARGET}`, or on Debian \
         `apt-get install {packages}`"
    )]
    NoToolchain { packages: String },
    /// There is no Rust at all.
    #[error(
        "no `cargo` was found on PATH: install Rust (rustup, or Debian's packages rustc and cargo)"
    )]
    NoCargo,
    #[error("`rustup target add {TARGET}` did not succeed: see above")]
    TargetNotAdded,
    #[error("finding the folder of cargo: set HOME or CARGO_HOME")]
    NoHome,
    #[error("{what} exports no plugin: its lib.rs needs the export macro of audit-plugin-sdk")]
    NoWorld { what: String },
    #[error("making a component of {what}")]
    Component {
        what: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("reading {what}: it is no WebAssembly module, or cut off at byte {at}")]
    NotWasm { what: String, at: usize },
    #[error("reading the line numbers of {what}")]
    Lines {
        what: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
