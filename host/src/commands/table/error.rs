//! Why a command on a table fails before it touches the table.

use audit_core::Kind;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A drop was not confirmed.
    ///
    /// Cause: another name than the table's was typed, or given to `--yes-drop`. Nothing was removed.
    ///
    /// Remedy: give the table's full name, NAMESPACE.TABLE, or leave the table where it is.
    #[error("dropping {table}: {given:?} is not its name; nothing was removed")]
    OtherName { table: String, given: String },
    /// A drop cannot ask for a confirmation.
    ///
    /// Cause: standard input is not a terminal, so nobody can type the table's name. Nothing was removed.
    ///
    /// Remedy: run the command on a terminal; in a script give `--yes-drop NAMESPACE.TABLE`.
    #[error(
        "dropping {table}: there is no terminal to type its name on; to drop it without one give --yes-drop {table}"
    )]
    NoTerminal { table: String },
    /// A drop cannot read the confirmation.
    ///
    /// Cause: the terminal was closed. Nothing was removed.
    ///
    /// Remedy: run the command again.
    #[error("reading the table's name from the terminal")]
    Terminal(#[source] std::io::Error),
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::OtherName { .. } => "AH-0860",
            Self::NoTerminal { .. } => "AH-0861",
            Self::Terminal(_) => "AH-0862",
        }
    }

    /// What the program must do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::OtherName { .. } | Self::NoTerminal { .. } => Kind::Config,
            Self::Terminal(_) => Kind::Failed,
        }
    }
}
