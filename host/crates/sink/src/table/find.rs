//! Finds a table in the catalog, beside what its folder holds.

use iceberg::TableCreation;
use iceberg::table::Table;

use crate::catalog::Store;
use crate::catalog::folder::{self, MetadataName};
use crate::error::Error;
use crate::table::names::TableName;

/// The table, which is created if neither the catalog nor the warehouse has it.
pub(crate) async fn find_or_create(
    store: &Store,
    name: &TableName,
    mut creation: TableCreation,
) -> Result<Table, Error> {
    if let Some(table) = find(store, name).await? {
        return Ok(table);
    }
    let ident = name.ident().map_err(|cause| name.failed("naming", cause))?;
    let namespace = ident.namespace();
    let catalog = store.catalog.as_ref();
    let failed_create = |cause| name.failed("creating", cause);
    store.ensure_namespace(namespace).await.map_err(failed_create)?;
    ident.name().clone_into(&mut creation.name);
    match catalog.create_table(namespace, creation).await {
        Ok(table) => {
            tracing::info!(table = %name, location = table.metadata().location(), "created table");
        }
        Err(cause) if !catalog.table_exists(&ident).await.map_err(failed_create)? => {
            return Err(failed_create(cause));
        }
        Err(_) => {}
    }
    store.load(name).await
}

/// The table, if the catalog names the newest metadata of its folder: what an old copy of the catalog calls garbage may be
/// the table.
pub(crate) async fn load_newest(store: &Store, name: &TableName) -> Result<Table, Error> {
    match find(store, name).await? {
        Some(table) => Ok(table),
        None => Err(Error::NoTable { table: name.to_string() }),
    }
}

/// The table in the catalog; `None` if neither the catalog nor the folder has it.
async fn find(store: &Store, name: &TableName) -> Result<Option<Table>, Error> {
    let location = name.folder(&store.warehouse);
    // Before the catalog is asked: a commit in between must not look like an old catalog.
    let files = folder::metadata_files(&location);
    match store.load(name).await {
        Ok(table) => {
            // A table that lies elsewhere has no files here.
            if !files.is_empty() {
                check_place(name, &table, &location)?;
            }
            check_is_newest(store, name, &table, files).await?;
            Ok(Some(table))
        }
        Err(Error::NoTable { table }) => match files.into_iter().next() {
            Some(newest) if newest.version > 0 => {
                let (folder, newest) = (location, newest.location);
                Err(Error::Unregistered { table, folder, newest })
            }
            // A crash while the table was created: nothing was ever committed to it.
            _ => Ok(None),
        },
        Err(error) => Err(error),
    }
}

/// Iceberg names files by absolute paths: metadata of a folder that was moved names none of them, and that of a folder that
/// was copied names those of the original, where two programs would write.
pub(crate) fn check_place(name: &TableName, table: &Table, folder: &str) -> Result<(), Error> {
    let written_for = table.metadata().location();
    if folder::is_same_place(written_for, folder) {
        return Ok(());
    }
    Err(Error::MovedTable {
        table: name.to_string(),
        folder: folder.to_owned(),
        written_for: written_for.to_owned(),
    })
}

/// A crash leaves at most files of the next version, which nothing has committed. One that is two versions ahead was
/// written on top of a commit that this catalog does not know.
async fn check_is_newest(
    store: &Store,
    name: &TableName,
    table: &Table,
    files: Vec<MetadataName>,
) -> Result<(), Error> {
    let known = table.metadata_location().unwrap_or_default();
    let Some(version) = folder::version_of(known) else { return Ok(()) };
    for file in files.into_iter().take_while(|file| file.version > version.saturating_add(1)) {
        match folder::read(&store.file_io, name, &file.location).await {
            Ok(newer) if newer.metadata().uuid() == table.metadata().uuid() => {
                return Err(Error::OldCatalog {
                    table: name.to_string(),
                    known: known.to_owned(),
                    newest: file.location,
                });
            }
            // Of an earlier table of this name.
            Ok(_) => {}
            Err(problem) => {
                let file = file.location;
                tracing::warn!(table = %name, file, problem, "skipping newer metadata that cannot be read");
            }
        }
    }
    Ok(())
}
