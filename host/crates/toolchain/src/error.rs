//! What can go wrong between sources and a component.

use std::path::PathBuf;

use crate::target::TARGET;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tool cannot be started.
    ///
    /// Cause: the operating system refused to run the command.
    ///
    /// Remedy: check that the program is installed and executable.
    #[error("starting `{line}`")]
    Start {
        line: String,
        #[source]
        cause: std::io::Error,
    },
    /// A tool failed.
    ///
    /// Cause: the command ended with an error; its own message follows.
    ///
    /// Remedy: act on that message, or run the command by hand.
    #[error("`{line}` ended with {status}: {said}")]
    Ended { line: String, status: std::process::ExitStatus, said: String },
    /// A built module cannot be read.
    ///
    /// Cause: cargo did not leave the module that was expected, or it is not readable.
    ///
    /// Remedy: check that the crate has `crate-type = ["cdylib"]` and that its library has the plugin's name.
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The build folder is not writable.
    ///
    /// Cause: the operating system refused to write there.
    ///
    /// Remedy: make the project's folder `target` writable.
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    // The caller may install Debian's packages and search again.
    /// No Rust toolchain builds for wasm.
    ///
    /// Cause: the active toolchain lacks the target, rustup cannot fetch it, and Debian's packages are not
    /// installed.
    ///
    /// Remedy: run one of the two commands that the message names.
    #[error(
        "no Rust toolchain here builds for {TARGET}: run `rustup target add {TARGET}`, or on Debian \
         `apt-get install {packages}`"
    )]
    NoToolchain { packages: String },
    /// Rust is not installed.
    ///
    /// Cause: there is no `cargo` on PATH.
    ///
    /// Remedy: install Rust with rustup, or Debian's packages `rustc` and `cargo`.
    #[error(
        "no `cargo` was found on PATH: install Rust (rustup, or Debian's packages rustc and cargo)"
    )]
    NoCargo,
    /// rustup cannot add the wasm target.
    ///
    /// Cause: `rustup target add` failed; its messages are above.
    ///
    /// Remedy: act on them, or leave `--toolchain` out so that other toolchains are tried.
    #[error("`rustup target add {TARGET}` failed: see above")]
    TargetNotAdded,
    /// Cargo's folder is unknown.
    ///
    /// Cause: neither CARGO_HOME nor HOME is set.
    ///
    /// Remedy: set one of them.
    #[error("finding the folder of cargo: set HOME or CARGO_HOME")]
    NoHome,
    /// The library exports no plugin.
    ///
    /// Cause: its `lib.rs` lacks `export_transform!` or `export_detector!`.
    ///
    /// Remedy: add the one that fits.
    #[error("{what} exports no plugin: its lib.rs needs the export macro of audit-plugin-sdk")]
    NoWorld { what: String },
    /// The module cannot become a component.
    ///
    /// Cause: the module does not implement the contract of `wit/`; what follows says where.
    ///
    /// Remedy: build it with the SDK of this version.
    #[error("making a component of {what}")]
    Component {
        what: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The built file is not a WebAssembly module.
    ///
    /// Cause: the build was interrupted, or the file was overwritten.
    ///
    /// Remedy: remove the project's folder `target` and build again.
    #[error("reading {what}: it is not a WebAssembly module, or is cut off at byte {at}")]
    NotWasm { what: String, at: usize },
    /// The debug information of a module cannot be read.
    ///
    /// Cause: the compiler wrote line numbers in a form that is not understood.
    ///
    /// Remedy: build with the Rust version that the project names, and report it.
    #[error("reading the line numbers of {what}")]
    Lines {
        what: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "AH-1000",
            Self::Ended { .. } => "AH-1001",
            Self::Read { .. } => "AH-1002",
            Self::Write { .. } => "AH-1003",
            Self::NoToolchain { .. } => "AH-1004",
            Self::NoCargo => "AH-1005",
            Self::TargetNotAdded => "AH-1006",
            Self::NoHome => "AH-1007",
            Self::NoWorld { .. } => "AH-1008",
            Self::Component { .. } => "AH-1009",
            Self::NotWasm { .. } => "AH-1010",
            Self::Lines { .. } => "AH-1011",
        }
    }
}
