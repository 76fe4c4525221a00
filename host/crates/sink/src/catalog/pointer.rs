//! The catalog's pointer to the newest metadata of a table, replaced by compare-and-set.
//!
//! Everything else in a table is a file that is written once. So a commit is decided by this pointer alone, and
//! iceberg-catalog-sql 0.10.1 cannot be trusted with it: it loads the table once more before it replaces the pointer, so
//! that a change without a snapshot lands on whatever another instance wrote meanwhile, and it reports a failed COMMIT as
//! a success.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::TableIdent;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite};

/// How long a statement waits for a writer of the same database.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Why the pointer could not be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// The database is not the file that was opened: what is written there would be lost.
    #[error("{path} was {what} since it was opened", path = .path.display())]
    OtherFile { path: PathBuf, what: &'static str },
    #[error("the catalog's database")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PointerError {
    /// Whether another attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

/// Whether a database was busy, full or unreadable: then the same may succeed later, and nothing is wrong with its name.
pub(crate) fn is_passing(error: &(dyn std::error::Error + 'static)) -> bool {
    // Primary result codes of SQLite: BUSY, LOCKED, IOERR, FULL.
    const PASSING: [u32; 4] = [5, 6, 10, 13];
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(sqlx::Error::Database(database)) = error.downcast_ref::<sqlx::Error>() {
            let code = database.code().and_then(|code| code.parse::<u32>().ok());
            return code.is_some_and(|code| PASSING.contains(&(code & 0xff)));
        }
        next = error.source();
    }
    false
}

/// The pointers of a catalog. An error of [`Pointer::replace`] leaves open whether it was replaced.
#[async_trait]
pub trait Pointer: Send + Sync + fmt::Debug {
    /// Where the newest metadata of a table is; `None` if the catalog has no such table.
    async fn read(&self, table: &TableIdent) -> Result<Option<String>, PointerError>;

    /// Replaces the pointer if it is still `from`; whether it was.
    async fn replace(&self, table: &TableIdent, from: &str, to: &str)
    -> Result<bool, PointerError>;

    /// Adds a table; false if the catalog has one of this name. Its namespace must exist.
    async fn insert(&self, _table: &TableIdent, _to: &str) -> Result<bool, PointerError> {
        Err(unsupported("register a table"))
    }

    /// Forgets the table if its pointer is still `from`; whether it did.
    async fn remove(&self, _table: &TableIdent, _from: &str) -> Result<bool, PointerError> {
        Err(unsupported("drop a table"))
    }

    /// Every table of the catalog as `namespace.name`, and its pointer.
    async fn list(&self) -> Result<Vec<(String, String)>, PointerError> {
        Err(unsupported("list tables"))
    }
}

/// The pointers of a catalog in SQLite, in the tables of Iceberg's JDBC catalog.
#[derive(Debug)]
pub(crate) struct SqlitePointer {
    pool: SqlitePool,
    path: PathBuf,
    /// Device and inode of the file that the connections have open.
    file: (u64, u64),
    catalog_name: String,
}

impl SqlitePointer {
    pub(crate) async fn open(path: &Path, catalog_name: &str) -> Result<Self, PointerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(BUSY_WAIT)
            // A commit must survive a power cut, also in the write-ahead log.
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        let pool = pool.map_err(database)?;
        let file = std::fs::metadata(path).map_err(database)?;
        Ok(Self {
            pool,
            path: path.to_owned(),
            file: (file.dev(), file.ino()),
            catalog_name: catalog_name.to_owned(),
        })
    }

    /// SQLite goes on writing to a file that was deleted or replaced, and nobody ever reads it again.
    fn check_file(&self) -> Result<(), PointerError> {
        let other = |what| Err(PointerError::OtherFile { path: self.path.clone(), what });
        match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) == self.file => Ok(()),
            Ok(_) => other("replaced by another file"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => other("deleted"),
            Err(error) => Err(database(error)),
        }
    }
}

impl SqlitePointer {
    /// Executes a statement that changes one pointer or none; whether it changed one.
    async fn changes_one<'q>(
        &self,
        statement: Query<'q, Sqlite, SqliteArguments<'q>>,
    ) -> Result<bool, PointerError> {
        self.check_file()?;
        let done = statement.execute(&self.pool).await.map_err(database)?;
        // Deleted while the statement ran: the next reader would not see it.
        self.check_file()?;
        Ok(done.rows_affected() == 1)
    }
}

fn unsupported(what: &str) -> PointerError {
    database(format!("this catalog cannot {what} by compare-and-set"))
}

fn database(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PointerError {
    PointerError::Database(cause.into())
}

#[async_trait]
impl Pointer for SqlitePointer {
    async fn read(&self, table: &TableIdent) -> Result<Option<String>, PointerError> {
        self.check_file()?;
        let row = sqlx::query(
            "SELECT metadata_location FROM iceberg_tables \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        )
        .bind(&self.catalog_name)
        .bind(table.namespace().join("."))
        .bind(table.name())
        .fetch_optional(&self.pool)
        .await
        .map_err(database)?;
        row.map(|row| row.try_get(0)).transpose().map_err(database)
    }

    async fn replace(
        &self,
        table: &TableIdent,
        from: &str,
        to: &str,
    ) -> Result<bool, PointerError> {
        let update = sqlx::query(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? \
             AND metadata_location = ?",
        )
        .bind(to)
        .bind(from)
        .bind(&self.catalog_name)
        .bind(table.namespace().join("."))
        .bind(table.name())
        .bind(from);
        self.changes_one(update).await
    }

    async fn insert(&self, table: &TableIdent, to: &str) -> Result<bool, PointerError> {
        let insert = sqlx::query(
            "INSERT OR IGNORE INTO iceberg_tables \
             (catalog_name, table_namespace, table_name, metadata_location, iceberg_type) \
             VALUES (?, ?, ?, ?, 'TABLE')",
        )
        .bind(&self.catalog_name)
        .bind(table.namespace().join("."))
        .bind(table.name())
        .bind(to);
        self.changes_one(insert).await
    }

    async fn remove(&self, table: &TableIdent, from: &str) -> Result<bool, PointerError> {
        let delete = sqlx::query(
            "DELETE FROM iceberg_tables \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? \
             AND metadata_location = ?",
        )
        .bind(&self.catalog_name)
        .bind(table.namespace().join("."))
        .bind(table.name())
        .bind(from);
        self.changes_one(delete).await
    }

    async fn list(&self) -> Result<Vec<(String, String)>, PointerError> {
        self.check_file()?;
        let rows = sqlx::query(
            "SELECT table_namespace || '.' || table_name, metadata_location FROM iceberg_tables \
             WHERE catalog_name = ? AND metadata_location IS NOT NULL ORDER BY 1",
        )
        .bind(&self.catalog_name)
        .fetch_all(&self.pool)
        .await
        .map_err(database)?;
        let entry = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(entry).collect::<Result<_, sqlx::Error>>().map_err(database)
    }
}
