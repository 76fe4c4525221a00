//! Why golden cases could not be run, or did not pass.

use std::time::Duration;

use super::compare::Mismatch;

/// An error of running golden cases. What a case finds wrong with a plugin is a [`Mismatch`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Format(#[from] audit_golden::Error),
    /// A lookup of a golden case is not valid.
    ///
    /// Cause: a table or calendar under `lookups` in `case.json` does not load.
    ///
    /// Remedy: correct what the message names.
    #[error("loading the lookups of the golden case {case:?}: {problem}")]
    Lookups { case: String, problem: String },
    /// The golden cases of a component take too long.
    ///
    /// Cause: all cases of a component together may take one minute, since a reload waits for them.
    ///
    /// Remedy: make the cases smaller.
    #[error(
        "running the golden cases of the component: {n_done} of {n_cases} took longer than {max:?}; make \
         them smaller"
    )]
    TooSlow { n_done: usize, n_cases: usize, max: Duration },
    /// A golden case of the component failed.
    ///
    /// Cause: what the plugin returned is not what the case expects.
    ///
    /// Remedy: `audit-host plugin test FILE` shows the whole difference; correct the plugin or the case.
    #[error("the golden case {case:?} failed: {mismatch}")]
    Failed { case: String, mismatch: Mismatch },
    /// The plugin does not start for a golden case.
    ///
    /// Cause: the plugin rejects the configuration or the keys of the case.
    ///
    /// Remedy: correct `config.json`; keys of the case belong in `case.json`.
    #[error("starting the plugin for the golden case {case:?}")]
    Load {
        case: String,
        #[source]
        cause: audit_chain::Error,
    },
    /// A golden case could not be run.
    ///
    /// Cause: the events of the case could not be decoded into a batch, or the chain ended.
    ///
    /// Remedy: act on what follows.
    #[error("running the golden case {case:?}")]
    Run {
        case: String,
        #[source]
        cause: audit_core::Error,
    },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Format(cause) => cause.code(),
            Self::Lookups { .. } => "AH-1110",
            Self::TooSlow { .. } => "AH-1111",
            Self::Failed { .. } => "AH-1112",
            Self::Load { .. } => "AH-1113",
            Self::Run { .. } => "AH-1114",
        }
    }
}
