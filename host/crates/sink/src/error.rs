//! What can go wrong with the table.

use audit_core::{Kind, TopicPartition};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {problem}")]
    Setting { what: String, problem: String },
    #[error("opening the catalog {uri}")]
    OpenCatalog {
        uri: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("writing to the warehouse {warehouse}: make the folder writable, or name another")]
    Warehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("finding the warehouse {warehouse}: check --warehouse")]
    NoWarehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{attempted} table {table}")]
    Table {
        attempted: &'static str,
        table: String,
        #[source]
        cause: iceberg::Error,
    },
    #[error(
        "the table {table} does not fit: {problem}; name another --table, and it will be created"
    )]
    OtherSchema { table: String, problem: String },
    #[error(
        "keys.{name}: the secret with the id {id} is another than the one whose values are in the table: \
         put that one back, or give the new one an id of its own and list the other under previous"
    )]
    OtherSecret { name: String, id: String },
    #[error(
        "{partition}: this epoch starts at offset {ours}, but the table stands at {theirs}: another \
         instance of group {group} writes to the table; stop one of them, or give each its own --group"
    )]
    Fenced { partition: TopicPartition, group: String, ours: i64, theirs: String },
    #[error(
        "committing epoch {epoch} to {table}: gave up after {attempts} attempts; nothing of it is in \
         the table, and the next start repeats it"
    )]
    GaveUp {
        epoch: String,
        table: String,
        attempts: u32,
        #[source]
        cause: iceberg::Error,
    },
    #[error("writing the data files of an epoch")]
    Files(#[source] iceberg::Error),
    #[error("arranging rows by partition")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("{attempted} the component {location}")]
    Component {
        attempted: &'static str,
        location: String,
        #[source]
        cause: iceberg::Error,
    },
    #[error("the component {location} is not there: no host with this warehouse ran it")]
    NoComponent { location: String },
    #[error("{0}")]
    Vault(String),
    #[error("{what} at {location} is damaged: {problem}")]
    Damaged { what: &'static str, location: String, problem: String },
}

impl Error {
    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Setting { .. }
            | Self::OtherSchema { .. }
            | Self::Vault(_)
            | Self::OpenCatalog { .. }
            | Self::NoComponent { .. }
            | Self::NoWarehouse { .. }
            | Self::Warehouse { .. } => Kind::Config,
            Self::Fenced { .. } => Kind::Fenced,
            _ => Kind::Failed,
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let attempted = match (&error, error.kind()) {
            (Error::Component { .. } | Error::NoComponent { .. }, _) => "keeping the plugins",
            (_, Kind::Config) => "opening the table",
            (_, Kind::Fenced) => "committing to the table",
            (_, Kind::Failed) => "writing to the table",
        };
        Self::caused_by(error.kind(), "AH-0500", attempted, error)
    }
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        "AH-0500"
    }
}
