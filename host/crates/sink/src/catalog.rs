//! Opening the catalog and the warehouse.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::{Catalog, CatalogBuilder};
use iceberg_catalog_sql::{
    SQL_CATALOG_PROP_BIND_STYLE, SQL_CATALOG_PROP_URI, SQL_CATALOG_PROP_WAREHOUSE,
    SqlCatalogBuilder,
};
use iceberg_storage_opendal::OpenDalStorageFactory;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

use crate::audit::components::ComponentStore;
use crate::error::Error;

/// Where tables are registered and where their files go.
#[derive(Debug, Clone)]
pub struct CatalogSettings {
    /// `sqlite:PATH` or `sqlite:///PATH`.
    pub uri: String,
    /// A folder: a path or `file:///PATH`.
    pub warehouse: String,
    /// The name of the catalog in its database. Other readers must use the same name.
    pub name: String,
}

/// An open catalog and the storage of its warehouse. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) file_io: FileIO,
    /// `file:///…`, without a slash at its end.
    pub(crate) warehouse: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the catalog: some print the credentials that they were opened with.
        f.debug_struct("Store").field("warehouse", &self.warehouse).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the catalog, creating its database and the warehouse folder where they are absent.
    pub async fn open(settings: &CatalogSettings) -> Result<Self, Error> {
        prepare_warehouse(&settings.warehouse)?;
        prepare_database(&settings.uri, &database_path(&settings.uri)?).await?;
        Self::open_existing(settings).await
    }

    /// Opens a catalog that must exist: a command that reads must not create an empty one where a path is
    /// mistyped.
    pub async fn open_existing(settings: &CatalogSettings) -> Result<Self, Error> {
        let warehouse = existing_warehouse(&settings.warehouse)?;
        let database = database_path(&settings.uri)?;
        let database = database.canonicalize().map_err(|cause| open_error(&settings.uri, cause))?;
        let props = HashMap::from([
            (
                SQL_CATALOG_PROP_URI.to_owned(),
                format!("sqlite://{}?mode=rw", encode_path(&database)),
            ),
            (SQL_CATALOG_PROP_WAREHOUSE.to_owned(), warehouse.clone()),
            (SQL_CATALOG_PROP_BIND_STYLE.to_owned(), "QMark".to_owned()),
        ]);
        // Not iceberg's own local storage, which writes metadata without fsync.
        let storage = Arc::new(OpenDalStorageFactory::Fs);
        let catalog = SqlCatalogBuilder::default()
            .with_storage_factory(storage.clone())
            .load(&settings.name, props)
            .await
            .map_err(|cause| open_error(&settings.uri, cause))?;
        let file_io = iceberg::io::FileIOBuilder::new(storage).build();
        Ok(Self { catalog: Arc::new(catalog), file_io, warehouse })
    }

    /// The components that ran with this warehouse.
    pub fn components(&self) -> ComponentStore {
        ComponentStore::new(self.file_io.clone(), &self.own_folder())
    }

    /// The folder of everything that belongs to no table.
    pub(crate) fn own_folder(&self) -> String {
        format!("{}/.audit-host", self.warehouse)
    }
}

fn open_error(uri: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::OpenCatalog { uri: uri.to_owned(), cause: cause.into() }
}

/// Creates the folder if it is absent, and checks that it is writable.
fn prepare_warehouse(warehouse: &str) -> Result<(), Error> {
    let path = warehouse_path(warehouse)?;
    let failed = |cause| Error::Warehouse { warehouse: warehouse.to_owned(), cause };
    std::fs::create_dir_all(path).map_err(failed)?;
    check_writable(Path::new(path)).map_err(failed)
}

/// The absolute path of a folder that exists, as a URI.
fn existing_warehouse(warehouse: &str) -> Result<String, Error> {
    let path = std::fs::canonicalize(warehouse_path(warehouse)?)
        .map_err(|cause| Error::NoWarehouse { warehouse: warehouse.to_owned(), cause })?;
    let text = path.to_str().ok_or_else(|| refuse(warehouse, "is not UTF-8"))?;
    Ok(format!("file://{text}"))
}

fn refuse(warehouse: &str, problem: &'static str) -> Error {
    Error::BadWarehouse { warehouse: warehouse.to_owned(), problem }
}

fn warehouse_path(warehouse: &str) -> Result<&str, Error> {
    let path = match warehouse.split_once("://") {
        None => warehouse,
        Some(("file", path)) if path.starts_with('/') => path,
        Some(_) => {
            return Err(refuse(warehouse, "must be a folder, as a path or as file:///PATH"));
        }
    };
    if path.is_empty() {
        return Err(refuse(warehouse, "is empty"));
    }
    Ok(path)
}

/// Fails now, and not at the first commit.
fn check_writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".audit-host-{}", uuid::Uuid::now_v7()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

fn database_path(uri: &str) -> Result<PathBuf, Error> {
    let path = uri.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    match path {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        // A URI of another catalog may hold a password before its `@`.
        _ => {
            let uri = uri.split('@').next_back().unwrap_or_default().to_owned();
            Err(Error::BadCatalog { uri })
        }
    }
}

/// The path, encoded for a URL: the driver decodes `%` and ends the path at `?` and `#`.
fn encode_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut encoded = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([*byte]));
        }
    }
    encoded
}

/// Creates the database and switches it to write-ahead logging, permanently. Without it a reader can make a
/// COMMIT fail, which iceberg-catalog-sql 0.10.1 then reports as a success.
async fn prepare_database(uri: &str, database: &Path) -> Result<(), Error> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|cause| open_error(uri, cause))?;
    }
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let connection = options.connect().await.map_err(|cause| open_error(uri, cause))?;
    sqlx::Connection::close(connection).await.map_err(|cause| open_error(uri, cause))
}
