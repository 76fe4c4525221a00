//! The table's metadata, read and changed past every client: the catalog's row, and the file that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::case::Case;
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Running, wait_until};
use audit_tests::table::CATALOG_NAME;
use serde_json::{Map, Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};
use tokio::runtime::{Builder, Runtime};

/// How long a statement waits for another one's lock.
const BUSY_FOR: Duration = Duration::from_secs(30);
/// Takes the one lock that writers share.
const LOCK: &str = "BEGIN IMMEDIATE";

/// A connection to the catalog's file, with the runtime that it needs. Its open transaction ends with it.
pub(super) struct Catalog {
    connection: SqliteConnection,
    runtime: Runtime,
}

impl Catalog {
    pub(super) fn open(case: &Case) -> Result<Self> {
        Self::open_for(case, BUSY_FOR)
    }

    /// Locks the catalog until this is dropped: nobody else can write to it. An error if somebody does.
    pub(super) fn locked(case: &Case, busy_for: Duration) -> Result<Self> {
        let mut catalog = Self::open_for(case, busy_for)?;
        catalog.execute(LOCK, &[])?;
        Ok(catalog)
    }

    fn open_for(case: &Case, busy_for: Duration) -> Result<Self> {
        let file = case.dir.join("catalog.db");
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let options = SqliteConnectOptions::new().filename(&file).busy_timeout(busy_for);
        let connection = runtime.block_on(options.connect());
        let connection = connection.with_context(|| format!("opening {}", file.display()))?;
        Ok(Self { connection, runtime })
    }

    /// Runs one statement without a result.
    pub(super) fn execute(&mut self, statement: &'static str, values: &[&str]) -> Result<()> {
        let query =
            values.iter().fold(sqlx::query::<Sqlite>(statement), |query, value| query.bind(*value));
        let done = self.runtime.block_on(query.execute(&mut self.connection));
        done.with_context(|| statement.to_owned())?;
        Ok(())
    }

    fn location(&mut self, table: &str) -> Result<String> {
        let (namespace, name) = split(table)?;
        let statement = "SELECT metadata_location FROM iceberg_tables \
                         WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";
        let query = sqlx::query_scalar::<Sqlite, String>(statement)
            .bind(CATALOG_NAME)
            .bind(namespace)
            .bind(name);
        let found = self.runtime.block_on(query.fetch_one(&mut self.connection));
        found.with_context(|| format!("asking the catalog for {table}"))
    }

    fn point(&mut self, table: &str, location: &str) -> Result<()> {
        let (namespace, name) = split(table)?;
        let statement = "UPDATE iceberg_tables SET metadata_location = ? \
                         WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";
        self.execute(statement, &[location, CATALOG_NAME, namespace, name])
    }

    /// Closes it before its file is moved.
    pub(super) fn close(self) -> Result<()> {
        self.runtime.block_on(self.connection.close()).context("closing the catalog")
    }
}

fn split(table: &str) -> Result<(&str, &str)> {
    table.rsplit_once('.').context("a table without a namespace")
}

/// A change of a table's metadata that can be taken back.
pub(super) struct Edit {
    table: String,
    before: String,
    file: PathBuf,
}

/// Replaces a table's metadata: writes the next metadata file and points the catalog at it.
pub(super) fn edit(
    case: &Case,
    table: &str,
    change: impl FnOnce(&mut Value) -> Result<()>,
) -> Result<Edit> {
    let mut catalog = Catalog::open(case)?;
    let before = catalog.location(table)?;
    let mut metadata = read(&before)?;
    let entry = json!({
        "metadata-file": before, "timestamp-ms": metadata["last-updated-ms"].clone(),
    });
    if let Some(log) = metadata["metadata-log"].as_array_mut() {
        log.push(entry);
    }
    change(&mut metadata)?;
    let (folder, name) = before.rsplit_once('/').context("a location without a folder")?;
    let version = version_of(name)? + 1;
    let location =
        format!("{folder}/{version:05}-00000000-0000-4000-8000-{version:012}.metadata.json");
    let file = path(&location);
    ensure!(!file.exists(), "{} is there already", file.display());
    fs::write(&file, metadata.to_string()).with_context(|| file.display().to_string())?;
    catalog.point(table, &location)?;
    catalog.close()?;
    Ok(Edit { table: table.to_owned(), before, file })
}

impl Edit {
    /// Leaves the table as it was, without a trace.
    pub(super) fn undo(self, case: &Case) -> Result<()> {
        let mut catalog = Catalog::open(case)?;
        catalog.point(&self.table, &self.before)?;
        catalog.close()?;
        fs::remove_file(&self.file).with_context(|| self.file.display().to_string())
    }
}

/// Pauses a run at a moment when it does not lock the catalog, which it would go on doing.
pub(super) fn pause_between_commits(case: &Case, running: &Running) -> Result<()> {
    wait_until("a moment between two commits", LIMIT, || {
        running.pause()?;
        match Catalog::locked(case, Duration::ZERO) {
            Ok(catalog) => catalog.close().map(|()| true),
            Err(_) => running.resume().map(|()| false),
        }
    })
}

/// Sets one table property, or removes it; what it was before.
pub(super) fn set_property(
    case: &Case,
    table: &str,
    key: &str,
    value: Option<&str>,
) -> Result<Option<String>> {
    let mut before = None;
    edit(case, table, |metadata| {
        let properties = properties(metadata)?;
        let replaced = match value {
            Some(value) => properties.insert(key.to_owned(), json!(value)),
            None => properties.remove(key),
        };
        before = replaced.as_ref().map(text);
        Ok(())
    })?;
    Ok(before)
}

/// Points the catalog at the newest metadata file of the table's folder.
pub(super) fn register_newest(case: &Case, table: &str) -> Result<()> {
    let newest = newest(case, table)?.context("a folder without a metadata file")?;
    let mut catalog = Catalog::open(case)?;
    catalog.point(table, &format!("file://{}", newest.display()))?;
    catalog.close()
}

/// The metadata file with the highest number in the table's folder.
fn newest(case: &Case, table: &str) -> Result<Option<PathBuf>> {
    let (namespace, name) = split(table)?;
    let folder = case.dir.join("warehouse").join(namespace).join(name).join("metadata");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(None) };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".metadata.json") {
            found.insert(version_of(&name)?, entry.path());
        }
    }
    Ok(found.pop_last().map(|(_, path)| path))
}

/// The metadata that the catalog names, if there is a table yet.
pub(super) fn latest(case: &Case, table: &str) -> Option<Value> {
    current(case, table).ok()
}

/// The metadata that the catalog names.
pub(super) fn current(case: &Case, table: &str) -> Result<Value> {
    let mut catalog = Catalog::open(case)?;
    let location = catalog.location(table)?;
    catalog.close()?;
    read(&location)
}

fn read(location: &str) -> Result<Value> {
    let bytes = fs::read(path(location)).with_context(|| location.to_owned())?;
    serde_json::from_slice(&bytes).with_context(|| location.to_owned())
}

fn path(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

/// `00012-UUID.metadata.json` is the twelfth after the first.
fn version_of(name: &str) -> Result<u64> {
    let number = name.split('-').next().unwrap_or_default();
    number.parse().with_context(|| format!("the number of {name}"))
}

/// The snapshots, oldest first.
pub(super) fn snapshots(metadata: &Value) -> Vec<&Value> {
    let mut all: Vec<_> = metadata["snapshots"].as_array().into_iter().flatten().collect();
    all.sort_by_key(|snapshot| snapshot["sequence-number"].as_i64());
    all
}

/// The table's properties.
pub(super) fn properties(metadata: &mut Value) -> Result<&mut Map<String, Value>> {
    metadata["properties"].as_object_mut().context("metadata without properties")
}
