//! Opening the catalog and the warehouse.

pub(crate) mod folder;
pub(crate) mod pointer;
pub(crate) mod waits;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_core::text;
use iceberg::io::{FileIO, StorageFactory};
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, Runtime, TableIdent};
use iceberg_catalog_sql::{
    SQL_CATALOG_PROP_BIND_STYLE, SQL_CATALOG_PROP_URI, SQL_CATALOG_PROP_WAREHOUSE,
    SqlCatalogBuilder,
};
use iceberg_storage_opendal::OpenDalStorageFactory;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

use crate::audit::components::ComponentStore;
use crate::catalog::pointer::{BUSY_WAIT, Pointer, PointerError, SqlitePointer, is_passing};
use crate::catalog::waits::Waits;
use crate::error::Error;
use crate::private;
use crate::table::names::TableName;

/// The pause before a database that was busy is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

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
    /// For everything but commits: those go through `pointer`.
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) pointer: Arc<dyn Pointer>,
    pub(crate) file_io: FileIO,
    pub(crate) waits: Waits,
    runtime: Runtime,
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
        let store = Self::open_existing(settings).await?;
        // Outboxes hold alerts, which are about people.
        private::own_folder(&store.own_folder());
        Ok(store)
    }

    /// Opens a catalog if its database exists.
    pub(crate) async fn open_if_exists(settings: &CatalogSettings) -> Result<Option<Self>, Error> {
        if !database_path(&settings.uri)?.exists() {
            return Ok(None);
        }
        Self::open_existing(settings).await.map(Some)
    }

    /// Creates the database of a catalog for a warehouse that exists.
    pub(crate) async fn create_catalog(settings: &CatalogSettings) -> Result<Self, Error> {
        existing_warehouse(&settings.warehouse)?;
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
        let storage: Arc<dyn StorageFactory> = Arc::new(OpenDalStorageFactory::Fs);
        let catalog = SqlCatalogBuilder::default()
            .with_storage_factory(Arc::clone(&storage))
            .load(&settings.name, props)
            .await
            .map_err(|cause| open_error(&settings.uri, cause))?;
        let pointer = SqlitePointer::open(&database, &settings.name)
            .await
            .map_err(|cause| open_error(&settings.uri, cause))?;
        Ok(Self {
            catalog: Arc::new(catalog),
            pointer: Arc::new(pointer),
            file_io: iceberg::io::FileIOBuilder::new(storage).build(),
            waits: Waits::default(),
            runtime: Runtime::try_current().map_err(|cause| open_error(&settings.uri, cause))?,
            warehouse,
        })
    }

    /// The same store with other parts, for tests of what happens when they fail.
    #[must_use]
    pub fn with_parts(
        mut self,
        pointer: impl FnOnce(Arc<dyn Pointer>) -> Arc<dyn Pointer>,
        storage: Option<Arc<dyn StorageFactory>>,
        waits: Waits,
    ) -> Self {
        self.pointer = pointer(self.pointer);
        self.waits = waits;
        if let Some(storage) = storage {
            self.file_io = iceberg::io::FileIOBuilder::new(storage).build();
        }
        self
    }

    /// Creates a namespace unless it exists.
    pub(crate) async fn ensure_namespace(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<(), iceberg::Error> {
        let catalog = self.catalog.as_ref();
        if catalog.namespace_exists(namespace).await? {
            return Ok(());
        }
        match catalog.create_namespace(namespace, HashMap::new()).await {
            // Another instance may be quicker. The error then depends on the catalog, so look again.
            Err(cause) if !catalog.namespace_exists(namespace).await? => Err(cause),
            _ => Ok(()),
        }
    }

    /// The table as it is now.
    pub(crate) async fn load(&self, name: &TableName) -> Result<Table, Error> {
        let ident = name.ident().map_err(|cause| name.failed("naming", cause))?;
        match self.location(name, &ident).await? {
            Some(location) => self.read(name, ident, location).await,
            None => Err(Error::NoTable { table: name.to_string() }),
        }
    }

    /// The table as it is now; cheap if that is `known`.
    pub(crate) async fn reload(&self, name: &TableName, known: &Table) -> Result<Table, Error> {
        let ident = known.identifier();
        match self.location(name, ident).await? {
            Some(location) if known.metadata_location() == Some(location.as_str()) => {
                Ok(known.clone())
            }
            Some(location) => self.read(name, ident.clone(), location).await,
            None => Err(Error::NoTable { table: name.to_string() }),
        }
    }

    async fn location(
        &self,
        name: &TableName,
        ident: &TableIdent,
    ) -> Result<Option<String>, Error> {
        let read = tokio::time::timeout(self.waits.answer, self.pointer.read(ident)).await;
        let read = read.unwrap_or_else(|_| {
            Err(PointerError::Database(format!("no answer within {:?}", self.waits.answer).into()))
        });
        read.map_err(|cause| name.unreadable(cause))
    }

    async fn read(
        &self,
        name: &TableName,
        ident: TableIdent,
        location: String,
    ) -> Result<Table, Error> {
        let read = TableMetadata::read_from(&self.file_io, &location);
        let metadata = self.waits.answered(read).await.map_err(|cause| {
            let (table, location) = (name.to_string(), location.clone());
            Error::MetadataFile { table, location, problem: text::one_line(&cause) }
        })?;
        self.table(ident, location, metadata).map_err(|cause| name.failed("reading", cause))
    }

    pub(crate) fn table(
        &self,
        ident: TableIdent,
        location: String,
        metadata: TableMetadata,
    ) -> Result<Table, iceberg::Error> {
        Table::builder()
            .identifier(ident)
            .metadata_location(location)
            .metadata(metadata)
            .file_io(self.file_io.clone())
            .runtime(self.runtime.clone())
            // A table lives for one commit: nothing is read from it twice.
            .disable_cache()
            .build()
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

/// A warehouse that exists, and its files: what can be known without a catalog.
pub(crate) fn warehouse_of(settings: &CatalogSettings) -> Result<(String, FileIO), Error> {
    let warehouse = existing_warehouse(&settings.warehouse)?;
    let storage = Arc::new(OpenDalStorageFactory::Fs);
    Ok((warehouse, iceberg::io::FileIOBuilder::new(storage).build()))
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
    let began = Instant::now();
    loop {
        match switch_to_wal(database).await {
            Ok(()) => return Ok(()),
            // Another instance does the same: for this switch SQLite does not wait by itself.
            Err(error) if is_passing(&error) && began.elapsed() < BUSY_WAIT => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(open_error(uri, error)),
        }
    }
}

async fn switch_to_wal(database: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    sqlx::Connection::close(options.connect().await?).await
}
