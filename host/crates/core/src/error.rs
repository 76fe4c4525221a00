//! The error that crosses stage boundaries.

use std::error::Error as StdError;

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

/// What a stage attempted, and why it failed. Every crate has an error type of its own and turns it
/// into this one at its boundary; the cause is kept as `source`.
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
