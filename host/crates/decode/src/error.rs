//! Why a whole batch could not be decoded. A record that is wrong is a [`crate::fault::Fault`].

use arrow::error::ArrowError;
use audit_core::Kind;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the batch has {bytes} bytes, an Arrow text column holds at most {max}", max = i32::MAX)]
    BatchTooLarge { bytes: usize },
    #[error("the batch has {records} records, decode numbers at most {max}", max = u32::MAX)]
    TooManyRecords { records: usize },
    #[error("the columns do not make a batch")]
    Columns(#[source] ArrowError),
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        Self::caused_by(Kind::Failed, "AH-0300", "could not decode a batch of records", error)
    }
}
