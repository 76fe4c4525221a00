//! The errors of lookups. No message holds a value of a table: it may be personal data.

use std::fmt;
use std::path::PathBuf;

/// An error of this crate. `key` is the key of the configuration: `lookups.roles`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The definition of a table or a calendar is not valid.
    ///
    /// Cause: a key of `[lookups.NAME]` or `[calendars.NAME]` has an invalid value: a column that is not in
    /// the file, one of `valid-from` and `valid-to` without the other, a limit out of range, an unknown time
    /// zone, hours that overlap, or a name that is used twice.
    ///
    /// Remedy: correct the key that the message names.
    #[error("{key}: {problem}")]
    Definition { key: String, problem: String },
    /// The file of a table or a calendar cannot be used.
    ///
    /// Cause: the file is missing, unreadable, empty, not a regular file, larger than `file-bytes-max` or
    /// `rows-max`, not valid CSV or Parquet, or it changed while it was read.
    ///
    /// Remedy: correct the path or the file; write a new version to another name and rename it.
    #[error("{key}: {}: {problem}", path.display())]
    File { key: String, path: PathBuf, problem: String },
    /// A row of a table or a holiday of a calendar is not valid.
    ///
    /// Cause: an empty or duplicate key, validity that overlaps another row of the same key, an invalid
    /// timestamp, date or network, another number of values than columns, an open quote, or a value that is
    /// not UTF-8.
    ///
    /// Remedy: correct the line (CSV) or row (Parquet) that the message names.
    #[error("{key}: {}, {place}: {problem}", path.display())]
    Row { key: String, path: PathBuf, place: Place, problem: String },
    /// A changed table does not fit the plugins that use it.
    ///
    /// Cause: a plugin was configured with the table, and since then a column was removed, the validity
    /// columns were added or removed, or `kind` changed. The host keeps the loaded version.
    ///
    /// Remedy: undo the change, or restart the host to load it.
    #[error("{key}: {}: {problem}; restart to load it", path.display())]
    Incompatible { key: String, path: PathBuf, problem: String },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Definition { .. } => "AH-0701",
            Self::File { .. } => "AH-0702",
            Self::Row { .. } => "AH-0703",
            Self::Incompatible { .. } => "AH-0704",
        }
    }
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of text, counted from 1.
    Line(u32),
    /// A row of Parquet, counted from 1.
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
