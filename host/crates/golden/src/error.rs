//! Why golden cases cannot be read or written.

use std::path::PathBuf;

/// An error of this crate. What a case finds wrong with a plugin is not an error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The component is damaged.
    ///
    /// Cause: the file is cut off or was changed after the build, so that its sections cannot be walked.
    ///
    /// Remedy: build the component again, or copy it again.
    #[error(
        "looking for golden cases in the component: its sections are damaged at byte {at}; build it again"
    )]
    Damaged { at: usize },
    /// The golden cases of a component are too large.
    ///
    /// Cause: a component may carry 1 MiB of golden cases, since they are read and run before every swap.
    ///
    /// Remedy: shorten the cases, or move the long ones to another folder and run them with
    /// `plugin test --cases`.
    #[error(
        "the golden cases have {n_bytes} bytes, and a component carries at most {max}; shorten them, or \
         leave some out"
    )]
    TooLarge { n_bytes: usize, max: usize },
    /// A component carries too many golden cases.
    ///
    /// Cause: a component may carry 256 cases, since each starts the plugin twice before every swap.
    ///
    /// Remedy: merge cases, or move some to another folder and run them with `plugin test --cases`.
    #[error("there are {n_cases} golden cases, and a component carries at most {max}")]
    TooMany { n_cases: usize, max: usize },
    /// A component carries too many events.
    ///
    /// Cause: the golden cases of a component may have 10,000 events and expected lines together: all are run before
    /// every swap, and each takes kilobytes of the host meanwhile.
    ///
    /// Remedy: make the cases shorter, or move some to another folder and run them with `plugin test --cases`.
    #[error(
        "the golden cases have {n_lines} events and expected lines, and a component carries at most {max}"
    )]
    TooManyLines { n_lines: usize, max: usize },
    /// A golden case is not valid.
    ///
    /// Cause: a file of the case, or an entry of the component, is not as `docs/plugin-testing.md` has it.
    ///
    /// Remedy: correct what the message names.
    #[error("reading the golden case {place}: {problem}")]
    Case { place: String, problem: String },
    /// A file of a golden case cannot be read or written.
    ///
    /// Cause: the operating system refused, or the file is larger than 16 MiB.
    ///
    /// Remedy: check the permissions of the folder, or make the case smaller.
    #[error("{attempted} {}", path.display())]
    File {
        attempted: &'static str,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "AH-1100",
            Self::TooLarge { .. } => "AH-1101",
            Self::TooMany { .. } => "AH-1102",
            Self::Case { .. } => "AH-1103",
            Self::File { .. } => "AH-1104",
            Self::TooManyLines { .. } => "AH-1105",
        }
    }
}
