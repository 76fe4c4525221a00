//! The error that crosses stage boundaries.

use std::error::Error as StdError;

use arrow::error::ArrowError;
use tokio::task::JoinError;

use crate::offset::NotContiguous;

/// What the program must do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user must change the command line, the config or a file that they name. Exit code 2.
    Config,
    /// Something failed at run time. Exit code 1.
    Failed,
    /// Another instance owns the partitions: this one must not write. Exit code 1.
    Fenced,
}

/// What a stage attempted, and why it failed. Every crate has an error type of its own, which becomes this
/// one at the crate's boundary and is kept as its `source`.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}")]
pub struct Error {
    kind: Kind,
    code: &'static str,
    attempted: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that explains itself: `attempted` says what was tried, with names, and what to do.
    pub fn new(kind: Kind, code: &'static str, attempted: impl Into<String>) -> Self {
        Self { kind, code, attempted: attempted.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused_by(
        kind: Kind,
        code: &'static str,
        attempted: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, code, attempted: attempted.into(), source: Some(cause.into()) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// An error of the pipeline itself, and of no stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    /// A stage panicked.
    ///
    /// Cause: a fault of audit-host. The table is as it was at the last commit.
    ///
    /// Remedy: report it with the log, then start again.
    #[error("a stage of the pipeline panicked: please report it")]
    Panicked(#[source] JoinError),
    /// A batch does not follow the one before it.
    ///
    /// Cause: a fault of audit-host: the source skipped or repeated offsets of a partition. Nothing of the open
    /// epoch was committed.
    ///
    /// Remedy: report it with the log, then start again.
    #[error("adding a batch to its epoch")]
    Gap(#[source] NotContiguous),
    /// The parts of a batch could not be joined.
    ///
    /// Cause: Arrow refused to join columns, for example as a text column would exceed 2 GiB. The table is as it was
    /// at the last commit.
    ///
    /// Remedy: report it with the message.
    #[error("joining the judged parts of a batch")]
    Join(#[source] ArrowError),
    /// The variable of the fail points is not valid.
    ///
    /// Cause: `AUDIT_HOST_FAIL_POINT` is set, to something else than the name of a step, a colon and a number. The
    /// variable is for tests: it ends the process at that step.
    ///
    /// Remedy: unset it; in a test, correct it.
    #[error("the variable {variable} is {value:?}: {problem}; unset it, or set it to NAME:N")]
    FailPoint { variable: &'static str, value: String, problem: String },
    /// Rows and dead letters of an epoch are not as many as its records.
    ///
    /// Cause: a fault of audit-host: a record was lost or counted twice between reading and writing. Nothing of the
    /// epoch was committed.
    ///
    /// Remedy: report it with the log, then start again: the next start reads the epoch's records again.
    #[error(
        "checking epoch {epoch} before its commit: {n_records} records were read, but {n_rows} rows and \
         {n_dead_letters} dead letters were made of them; nothing of it is committed, please report it"
    )]
    Unbalanced { epoch: String, n_records: u64, n_rows: u64, n_dead_letters: u64 },
}

impl PipelineError {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    fn code(&self) -> &'static str {
        match self {
            Self::Panicked(_) => "AH-0050",
            Self::Gap(_) => "AH-0051",
            Self::FailPoint { .. } => "AH-0052",
            Self::Unbalanced { .. } => "AH-0053",
            Self::Join(_) => "AH-0054",
        }
    }

    /// What the program must do about it.
    fn kind(&self) -> Kind {
        match self {
            Self::FailPoint { .. } => Kind::Config,
            Self::Panicked(_) | Self::Gap(_) | Self::Unbalanced { .. } | Self::Join(_) => {
                Kind::Failed
            }
        }
    }
}

impl From<PipelineError> for Error {
    fn from(error: PipelineError) -> Self {
        let (kind, code, attempted) = (error.kind(), error.code(), error.to_string());
        match error {
            PipelineError::Panicked(cause) => Self::caused_by(kind, code, attempted, cause),
            PipelineError::Gap(cause) => Self::caused_by(kind, code, attempted, cause),
            PipelineError::Join(cause) => Self::caused_by(kind, code, attempted, cause),
            PipelineError::FailPoint { .. } | PipelineError::Unbalanced { .. } => {
                Self::new(kind, code, attempted)
            }
        }
    }
}
