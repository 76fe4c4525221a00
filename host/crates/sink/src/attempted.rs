//! Errors of this crate as the pipeline and the retries see them.

use audit_core::Kind;

use crate::error::Error;

impl Error {
    /// Whether another attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Table { .. }
                | Self::MetadataFile { .. }
                | Self::Pointer { .. }
                | Self::NotCommitted { .. }
                | Self::UnknownOutcome { .. }
        )
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let attempted = match (&error, error.kind()) {
            (Error::Component { .. } | Error::NoComponent { .. }, _) => "storing the plugins",
            (_, Kind::Fenced) => "committing to the table",
            (_, Kind::Config | Kind::Failed) => "writing to the table",
        };
        Self::caused_by(error.kind(), error.code(), attempted, error)
    }
}
