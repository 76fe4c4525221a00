//! Why a whole batch could not be decoded. What is wrong with one record is a [`crate::fault::Fault`].

use arrow::error::ArrowError;
use audit_core::Kind;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A batch has too many bytes.
    ///
    /// Cause: a fault of audit-host: the source limits a batch to some MiB.
    ///
    /// Remedy: report it with the log.
    #[error("the batch has {bytes} bytes, an Arrow text column holds at most {max}", max = i32::MAX)]
    BatchTooLarge { bytes: usize },
    /// A batch has too many records.
    ///
    /// Cause: a fault of audit-host: the source limits a batch to some MiB.
    ///
    /// Remedy: report it with the log.
    #[error("the batch has {records} records, the decoder numbers at most {max}", max = u32::MAX)]
    TooManyRecords { records: usize },
    /// The columns of a batch do not fit together.
    ///
    /// Cause: a fault of audit-host.
    ///
    /// Remedy: report it with the log.
    #[error("the columns do not make a batch")]
    Columns(#[source] ArrowError),
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    fn code(&self) -> &'static str {
        match self {
            Self::BatchTooLarge { .. } => "AH-0300",
            Self::TooManyRecords { .. } => "AH-0301",
            Self::Columns(_) => "AH-0302",
        }
    }

    /// What the program must do about it.
    fn kind(&self) -> Kind {
        match self {
            Self::BatchTooLarge { .. } | Self::TooManyRecords { .. } | Self::Columns(_) => {
                Kind::Failed
            }
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        Self::caused_by(error.kind(), error.code(), "decoding a batch of records", error)
    }
}
