//! What can go wrong with delivery.

use audit_core::Kind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("is no place for alerts: must be `stdout` or `file:PATH`")]
    Target,
    #[error("opening {path} for alerts: make its folder writable, or name another file")]
    Open {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("delivering {n_alerts} alerts to {target}")]
    Deliver {
        n_alerts: usize,
        target: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("writing an alert as JSON")]
    Json(#[from] serde_json::Error),
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Target | Error::Open { .. } => Kind::Config,
            Error::Deliver { .. } | Error::Json(_) => Kind::Failed,
        };
        Self::caused_by(kind, "AH-0600", "delivering alerts", error)
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        "AH-0600"
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Target | Self::Open { .. } => Kind::Config,
            Self::Deliver { .. } | Self::Json(_) => Kind::Failed,
        }
    }
}
