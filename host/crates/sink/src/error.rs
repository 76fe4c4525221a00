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
    #[error("{0}")]
    Vault(String),
    #[error("{what} at {location} is damaged: {problem}")]
    Damaged { what: &'static str, location: String, problem: String },
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let (kind, attempted) = match &error {
            Error::Setting { .. }
            | Error::OtherSchema { .. }
            | Error::Vault(_)
            | Error::OpenCatalog { .. }
            | Error::Warehouse { .. } => (Kind::Config, "opening the table"),
            Error::Fenced { .. } => (Kind::Fenced, "committing to the table"),
            _ => (Kind::Failed, "writing to the table"),
        };
        Self::caused_by(kind, attempted, error)
    }
}
