//! What can be wrong with a lookup. Nothing here repeats a value of a table: it may be about a person.

use std::fmt;
use std::path::PathBuf;

/// An error of this crate. `key` is the key of the configuration: `lookups.roles`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{key}: {problem}")]
    Definition { key: String, problem: String },
    #[error("{key}: {}: {problem}", path.display())]
    File { key: String, path: PathBuf, problem: String },
    #[error("{key}: {}, {place}: {problem}", path.display())]
    Row { key: String, path: PathBuf, place: Place, problem: String },
}

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of text, counted from 1.
    Line(u32),
    /// Of Parquet, counted from 1.
    Row(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        "AH-0700"
    }
}
