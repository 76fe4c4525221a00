//! The errors of the generator.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name of the generator's settings is not known.
    ///
    /// Cause: there is no attack, population, intensity or disorder of that name.
    ///
    /// Remedy: use one of the names that the message lists.
    #[error("unknown {what} `{name}`; available: {}", known.join(", "))]
    UnknownName { what: &'static str, name: String, known: Vec<&'static str> },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownName { .. } => "AH-0901",
        }
    }
}
