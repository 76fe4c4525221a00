//! What can go wrong with delivery.

use audit_core::Kind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target of alerts is not valid.
    ///
    /// Cause: `--alerts` (key `alerts.to`) is neither `stdout` nor `file:PATH`.
    ///
    /// Remedy: correct it.
    #[error("is not a target for alerts: must be `stdout` or `file:PATH`")]
    Target,
    /// The file of alerts cannot be opened.
    ///
    /// Cause: its folder cannot be created, or the host may not write there.
    ///
    /// Remedy: make the folder writable for the user that runs the host, or name another file.
    #[error("opening {path} for alerts: make its folder writable, or name another file")]
    Open {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    /// Alerts cannot be delivered.
    ///
    /// Cause: the disk is full, or the reader of the pipe has ended.
    ///
    /// Remedy: repair it and start again: the next start delivers them.
    #[error("delivering {n_alerts} alerts to {target}")]
    Deliver {
        n_alerts: usize,
        target: String,
        #[source]
        cause: std::io::Error,
    },
    /// An alert cannot be written as JSON.
    ///
    /// Cause: a fault of audit-host: the host checks the values of an alert before it is stored.
    ///
    /// Remedy: report it with the log.
    #[error("writing an alert as JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Target => "AH-0600",
            Self::Open { .. } => "AH-0601",
            Self::Deliver { .. } => "AH-0602",
            Self::Json(_) => "AH-0603",
        }
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Target | Self::Open { .. } => Kind::Config,
            Self::Deliver { .. } | Self::Json(_) => Kind::Failed,
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        Self::caused_by(error.kind(), error.code(), "delivering alerts", error)
    }
}
