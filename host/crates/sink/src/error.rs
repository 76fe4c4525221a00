//! What can go wrong with the table.

use std::path::PathBuf;

use audit_core::{Kind, TopicPartition};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table name is not valid.
    ///
    /// Cause: the name is not NAMESPACE.TABLE, or has other characters than letters, digits, `_` and `-`.
    ///
    /// Remedy: correct `--table` (key `table.name`); the namespace may have several levels.
    #[error("the table name {name:?}: must be NAMESPACE.TABLE, of letters, digits, _ and -")]
    BadName { name: String },
    /// The catalog is of a kind that is not supported.
    ///
    /// Cause: the catalog's URI does not begin with `sqlite:`, or names no file.
    ///
    /// Remedy: correct `--catalog` (key `table.catalog`); SQLite is the only catalog today.
    #[error(
        "the catalog {uri:?}: must be sqlite:PATH, for example sqlite:///var/lib/audit-host/catalog.db"
    )]
    BadCatalog { uri: String },
    /// The warehouse is not a local folder.
    ///
    /// Cause: the warehouse is S3 or another remote store, is empty, or has a path that is not UTF-8.
    ///
    /// Remedy: correct `--warehouse` (key `table.warehouse`); a local folder is the only warehouse today.
    #[error("the warehouse {warehouse:?}: {problem}")]
    BadWarehouse { warehouse: String, problem: &'static str },
    /// The catalog cannot be opened.
    ///
    /// Cause: the database file cannot be opened or created, or is not a database.
    ///
    /// Remedy: check the path, and owner and mode of the file and its folder.
    #[error("opening the catalog {uri}")]
    OpenCatalog {
        uri: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The warehouse is not writable.
    ///
    /// Cause: the host may not write to the folder, or a file has its name.
    ///
    /// Remedy: make the folder writable for the user that runs the host, or name another one.
    #[error("writing to the warehouse {warehouse}: make the folder writable, or name another one")]
    Warehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    /// The warehouse does not exist.
    ///
    /// Cause: there is no such folder. Commands that only read create none.
    ///
    /// Remedy: correct `--warehouse` (key `table.warehouse`).
    #[error("finding the warehouse {warehouse}: check --warehouse")]
    NoWarehouse {
        warehouse: String,
        #[source]
        cause: std::io::Error,
    },
    /// The table does not exist.
    ///
    /// Cause: the catalog has no such table: another table name, another catalog, or another
    /// `table.catalog-name`.
    ///
    /// Remedy: correct `--table`, `--catalog` or `table.catalog-name`.
    #[error("the table {table} is not in the catalog: check --table and --catalog")]
    NoTable { table: String },
    /// The catalog failed.
    ///
    /// Cause: the catalog or the files of the table cannot be read or written; the message says what was
    /// attempted.
    ///
    /// Remedy: repair what the message names, then start again.
    #[error("{attempted} table {table}")]
    Table {
        attempted: &'static str,
        table: String,
        #[source]
        cause: iceberg::Error,
    },
    /// The table has another schema or partitioning.
    ///
    /// Cause: a table of this name exists, and was not created by audit-host or was changed since. Nothing of
    /// it was changed.
    ///
    /// Remedy: undo that change, or name another `--table`, which is then created.
    #[error(
        "the table {table} is not compatible: {problem}; to create a new one, name another --table"
    )]
    OtherSchema { table: String, problem: String },
    /// A key's secret changed, but not its id.
    ///
    /// Cause: the key file holds another secret than the one whose tokens and ciphertexts are in the table
    /// under this id.
    ///
    /// Remedy: restore the old secret; or give the new one its own `id`, and list the old one under
    /// `previous`.
    #[error(
        "keys.{name}: the table holds values made with another secret of the id {id}: restore that \
         secret, or give the new one its own id and list the old one under `previous`"
    )]
    OtherSecret { name: String, id: String },
    /// Another instance of the group writes to the table.
    ///
    /// Cause: two instances run with the same `--group`, topics and table. The other one has committed
    /// offsets that this one was about to commit. Nothing of the epoch was committed.
    ///
    /// Remedy: stop one of them, or give each its own `--group`.
    #[error(
        "{partition}: this epoch starts at offset {ours}, but the table expects {theirs}: another \
         instance of group {group} writes to the table; stop one of them, or give each its own --group"
    )]
    Fenced { partition: TopicPartition, group: String, ours: i64, theirs: String },
    /// A commit failed too often.
    ///
    /// Cause: the catalog fails, or stays locked.
    ///
    /// Remedy: repair the catalog and start again: the next start repeats the epoch.
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
    /// Files of the warehouse cannot be written or read.
    ///
    /// Cause: the disk is full, or the warehouse's folder is gone.
    ///
    /// Remedy: make room, or restore the folder, and start again.
    #[error("writing the data files of an epoch")]
    Files(#[source] iceberg::Error),
    /// Rows cannot be arranged for the table.
    ///
    /// Cause: the columns of a batch are not those of the table.
    ///
    /// Remedy: restart, so that the table gets the columns that plugins add; if it happens again, report it.
    #[error("arranging rows by partition")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A batch lacks a column that partitions the table.
    ///
    /// Cause: a fault of audit-host.
    ///
    /// Remedy: report it with the log.
    #[error("a batch's column {column}: is absent or of another type")]
    BatchColumn { column: &'static str },
    /// A plugin's component cannot be stored or read.
    ///
    /// Cause: `WAREHOUSE/.audit-host/plugins` cannot be written or read.
    ///
    /// Remedy: make room, and correct owner and mode of the folder.
    #[error("{attempted} the component {location}")]
    Component {
        attempted: &'static str,
        location: String,
        #[source]
        cause: iceberg::Error,
    },
    /// A plugin's component is not stored.
    ///
    /// Cause: no host has run it with this warehouse, or its file was removed.
    ///
    /// Remedy: take the component from where it was built.
    #[error("the component {location} does not exist: no host has run it with this warehouse")]
    NoComponent { location: String },
    /// The key file cannot be read.
    ///
    /// Cause: the file of `dead-letters.key-file` does not exist, or may not be read.
    ///
    /// Remedy: correct the path, or owner and mode of the file.
    #[error("reading the key file {path}", path = .path.display())]
    ReadKeyFile {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// The key file holds no key.
    ///
    /// Cause: the file of `dead-letters.key-file` holds neither 64 hex digits nor 32 bytes.
    ///
    /// Remedy: make a key: `openssl rand -hex 32`.
    #[error(
        "the key file {path} must hold 64 hex digits (openssl rand -hex 32) or 32 bytes",
        path = .path.display()
    )]
    BadKeyFile { path: PathBuf },
    /// The detectors' state is sealed, and no key is configured.
    ///
    /// Cause: the table was filled by a run with `dead-letters.key-file`, and this run has none.
    ///
    /// Remedy: name the key that sealed the state, or start with another `--group`.
    #[error(
        "the table holds sealed detector state: name the key that sealed it ([dead-letters] key-file), \
         or start with another --group"
    )]
    NoKey,
    /// Sealed data cannot be unsealed.
    ///
    /// Cause: it was sealed with another key than the one of `dead-letters.key-file`, or it is damaged.
    ///
    /// Remedy: name the key that sealed it; its id is in the column `payload_key_id` of the dead letters.
    #[error(
        "cannot unseal {belongs_to} with key {key_id} of [dead-letters] key-file: it was sealed with \
         another key, or is damaged"
    )]
    OtherKey { belongs_to: String, key_id: String },
    /// Data cannot be sealed.
    ///
    /// Cause: it is longer than the cipher allows, which is 256 GiB. A fault of audit-host: states and payloads
    /// have lower limits.
    ///
    /// Remedy: report it with the log.
    #[error("sealing failed: the data is too long")]
    Seal,
    /// Data of the warehouse or a table property is damaged.
    ///
    /// Cause: an outbox, a state, a pointer, a component or an offset was changed by somebody else.
    ///
    /// Remedy: restore the file or the property that the message names; do not remove the property.
    #[error("{what} at {location} is damaged: {problem}")]
    Damaged { what: &'static str, location: String, problem: String },
}

impl Error {
    /// The stable code: `docs/errors.md` has cause and remedy of each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "AH-0500",
            Self::BadCatalog { .. } => "AH-0501",
            Self::BadWarehouse { .. } => "AH-0502",
            Self::OpenCatalog { .. } => "AH-0503",
            Self::Warehouse { .. } => "AH-0504",
            Self::NoWarehouse { .. } => "AH-0505",
            Self::NoTable { .. } => "AH-0506",
            Self::Table { .. } => "AH-0507",
            Self::OtherSchema { .. } => "AH-0508",
            Self::OtherSecret { .. } => "AH-0509",
            Self::Fenced { .. } => "AH-0510",
            Self::GaveUp { .. } => "AH-0511",
            Self::Files(_) => "AH-0512",
            Self::Arrow(_) => "AH-0513",
            Self::BatchColumn { .. } => "AH-0514",
            Self::Component { .. } => "AH-0515",
            Self::NoComponent { .. } => "AH-0516",
            Self::ReadKeyFile { .. } => "AH-0517",
            Self::BadKeyFile { .. } => "AH-0518",
            Self::NoKey => "AH-0519",
            Self::OtherKey { .. } => "AH-0520",
            Self::Seal => "AH-0521",
            Self::Damaged { .. } => "AH-0522",
        }
    }

    /// What the program must do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadName { .. }
            | Self::BadCatalog { .. }
            | Self::BadWarehouse { .. }
            | Self::OpenCatalog { .. }
            | Self::Warehouse { .. }
            | Self::NoWarehouse { .. }
            | Self::NoTable { .. }
            | Self::OtherSchema { .. }
            | Self::BatchColumn { .. }
            | Self::NoComponent { .. }
            | Self::ReadKeyFile { .. }
            | Self::BadKeyFile { .. }
            | Self::NoKey
            | Self::OtherKey { .. }
            | Self::Seal => Kind::Config,
            Self::Fenced { .. } => Kind::Fenced,
            Self::Table { .. }
            | Self::OtherSecret { .. }
            | Self::GaveUp { .. }
            | Self::Files(_)
            | Self::Arrow(_)
            | Self::Component { .. }
            | Self::Damaged { .. } => Kind::Failed,
        }
    }
}

impl From<Error> for audit_core::Error {
    fn from(error: Error) -> Self {
        let attempted = match (&error, error.kind()) {
            (Error::Component { .. } | Error::NoComponent { .. }, _) => "storing the plugins",
            (_, Kind::Config) => "opening the table",
            (_, Kind::Fenced) => "committing to the table",
            (_, Kind::Failed) => "writing to the table",
        };
        Self::caused_by(error.kind(), error.code(), attempted, error)
    }
}
