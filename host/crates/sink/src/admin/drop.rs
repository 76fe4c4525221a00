//! Drops a table: the only way in which this program removes rows.
//!
//! First everything is looked at: [`plan`] changes nothing. Then, for each table: a note of what is being dropped, the
//! catalog's entry by compare-and-set (from then on no host can commit), its folder, its objects. A drop that is killed
//! is finished by the next one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iceberg::table::Table;
use serde::Serialize;
use uuid::Uuid;

use super::lease::check_free;
use super::objects::{KINDS, objects_of};
use super::trash::{Note, Trash, remove_failed, size_of};
use crate::catalog::Store;
use crate::catalog::folder::local_path;
use crate::error::Error;
use crate::table::find;
use crate::table::names::TableName;
use crate::table::open::check_format;

/// What a drop removes.
#[derive(Debug, Serialize)]
pub struct DropPlan {
    pub tables: Vec<DroppedTable>,
    /// States, outboxes and lists of the table below `WAREHOUSE/.audit-host`; folders where no other table is in
    /// the warehouse.
    pub objects: Vec<PathBuf>,
    /// The components of plugins, which are shared by all tables of the warehouse; `None` if there are others.
    pub components: Option<PathBuf>,
    #[serde(skip)]
    own_folder: PathBuf,
    #[serde(skip)]
    leftovers: Vec<Trash>,
}

/// One table of a [`DropPlan`].
#[derive(Debug, Serialize)]
pub struct DroppedTable {
    pub table: String,
    pub uuid: String,
    pub rows: Option<u64>,
    pub folder: PathBuf,
    /// On the disk, with those that no snapshot names.
    pub files: u64,
    pub bytes: u64,
    /// Whether an earlier drop was interrupted: the catalog does not have it any more.
    pub is_leftover: bool,
    #[serde(skip)]
    entry: Option<(TableName, String)>,
}

/// Looks at everything that a drop would remove. An error if something must not be removed, or is still in use.
pub async fn plan(store: &Store, name: &TableName, lease: Duration) -> Result<DropPlan, Error> {
    let warehouse = local_path(&store.warehouse);
    let own_folder = local_path(&store.own_folder());
    let entries = store.pointer.list().await.map_err(|cause| name.unreadable(cause))?;
    check_is_whole(name, &entries)?;
    let (mut tables, mut loaded, mut leftovers) = (Vec::new(), Vec::new(), Vec::new());
    for name in [name.clone(), name.dead_letters()] {
        match find::load_newest(store, &name).await {
            Ok(table) => {
                tables.push(planned(&name, &table, &warehouse, lease)?);
                loaded.push(table);
            }
            Err(Error::NoTable { .. }) => {}
            Err(error) => return Err(error),
        }
        for trash in Trash::of(&own_folder, &name) {
            // The catalog may still have it: then it is in the list already.
            if !loaded.iter().any(|table| is_of(table, &trash)) {
                tables.push(left_over(&trash, &warehouse)?);
            }
            leftovers.push(trash);
        }
    }
    if tables.is_empty() {
        return Err(Error::NoTable { table: name.to_string() });
    }
    if let Some(first) = loaded.first() {
        check_is_ours(name, first)?;
    }
    let dropped: Vec<_> = tables.iter().map(|table| table.table.as_str()).collect();
    let others: Vec<_> =
        entries.iter().filter(|(other, _)| !dropped.contains(&other.as_str())).collect();
    for table in &tables {
        check_alone(table, &others)?;
    }
    let folders: Vec<_> = tables.iter().map(|table| table.folder.as_path()).collect();
    let is_last = others.is_empty() && !holds_metadata(&warehouse, &folders);
    let objects = objects(store, &loaded, &own_folder, is_last).await?;
    let components = own_folder.join("plugins");
    let components = (is_last && components.exists()).then_some(components);
    Ok(DropPlan { tables, objects, components, own_folder, leftovers })
}

fn is_of(table: &Table, trash: &Trash) -> bool {
    table.metadata().uuid().to_string() == trash.note.uuid
}

async fn objects(
    store: &Store,
    loaded: &[Table],
    own_folder: &Path,
    is_last: bool,
) -> Result<Vec<PathBuf>, Error> {
    if is_last {
        let kinds = KINDS.into_iter().chain(["keys"]);
        let folders = kinds.map(|kind| own_folder.join(kind));
        return Ok(folders.filter(|folder| folder.exists()).collect());
    }
    let mut named = BTreeSet::new();
    for table in loaded {
        named.extend(objects_of(store, table).await?);
    }
    Ok(named.into_iter().collect())
}

/// A table of dead letters goes with the table that it belongs to.
fn check_is_whole(name: &TableName, entries: &[(String, String)]) -> Result<(), Error> {
    let name = name.to_string();
    let owner = name.strip_suffix("_dead_letters");
    match owner.filter(|owner| entries.iter().any(|(other, _)| other == owner)) {
        None => Ok(()),
        Some(owner) => {
            let problem = format!("it belongs to {owner}: drop that");
            Err(Error::NotThisTable { table: name, problem })
        }
    }
}

/// The name of another program's table is not enough to remove it.
fn check_is_ours(name: &TableName, table: &Table) -> Result<(), Error> {
    let mut keys = table.metadata().properties().keys();
    if keys.any(|key| key.starts_with("audit-host.")) {
        return Ok(());
    }
    let problem = "audit-host has never written to it".to_owned();
    Err(Error::NotThisTable { table: name.to_string(), problem })
}

fn planned(
    name: &TableName,
    table: &Table,
    warehouse: &Path,
    lease: Duration,
) -> Result<DroppedTable, Error> {
    check_format(name, table)?;
    check_free(name, table, lease)?;
    let metadata = table.metadata();
    let folder = local_path(metadata.location().trim_end_matches('/'));
    check_inside(&name.to_string(), &folder, warehouse)?;
    let rows = match metadata.current_snapshot() {
        None => Some(0),
        Some(newest) => {
            let total = newest.summary().additional_properties.get("total-records");
            total.and_then(|total| total.parse().ok())
        }
    };
    let (files, bytes) = size_of(&folder);
    let location = table.metadata_location().unwrap_or_default().to_owned();
    Ok(DroppedTable {
        table: name.to_string(),
        uuid: metadata.uuid().to_string(),
        rows,
        folder,
        files,
        bytes,
        is_leftover: false,
        entry: Some((name.clone(), location)),
    })
}

/// What an interrupted drop has left: in its folder, or still where the table was.
fn left_over(trash: &Trash, warehouse: &Path) -> Result<DroppedTable, Error> {
    let note = &trash.note;
    let is_moved = trash.path.join("files").exists();
    let folder = if is_moved { trash.path.clone() } else { note.folder.clone() };
    check_inside(&note.table, &folder, warehouse)?;
    let (files, bytes) = size_of(&folder);
    Ok(DroppedTable {
        table: note.table.clone(),
        uuid: note.uuid.clone(),
        rows: None,
        folder,
        files,
        bytes,
        is_leftover: true,
        entry: None,
    })
}

/// Whoever can write a table's metadata must not be able to have other folders removed.
fn check_inside(table: &str, folder: &Path, warehouse: &Path) -> Result<(), Error> {
    let outside = |problem: String| Error::NotThisTable { table: table.to_owned(), problem };
    if !folder.exists() {
        return Ok(());
    }
    let real = folder.canonicalize().map_err(|cause| remove_failed(folder, cause))?;
    let is_link = folder.symlink_metadata().is_ok_and(|found| found.is_symlink());
    let relative = real.strip_prefix(warehouse).ok().filter(|_| !is_link);
    let Some(relative) = relative else {
        let problem = format!(
            "its folder {} is not in the warehouse {}, or is a link: remove it by hand",
            folder.display(),
            warehouse.display()
        );
        return Err(outside(problem));
    };
    let is_dropped = relative.starts_with(".audit-host/dropped");
    if relative.as_os_str().is_empty() || (relative.starts_with(".audit-host") && !is_dropped) {
        let problem = format!("its folder {} holds more than this table", folder.display());
        return Err(outside(problem));
    }
    Ok(())
}

/// No other table of the catalog may have its files in the folder.
fn check_alone(table: &DroppedTable, others: &[&(String, String)]) -> Result<(), Error> {
    let inside = |location: &str| {
        let path = local_path(location);
        path.canonicalize().unwrap_or(path).starts_with(&table.folder)
    };
    match others.iter().find(|(_, location)| inside(location)) {
        None => Ok(()),
        Some((other, _)) => {
            let folder = table.folder.display();
            let problem = format!("the files of {other} lie in its folder {folder} too");
            Err(Error::NotThisTable { table: table.table.clone(), problem })
        }
    }
}

/// Whether a table is in the warehouse that this catalog does not know: another catalog may.
fn holds_metadata(folder: &Path, except: &[&Path]) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        if except.contains(&path.as_path()) || name == ".audit-host" {
            return false;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => name != "data" && holds_metadata(&path, except),
            // Where nothing can be seen, something may be.
            Ok(kind) => kind.is_symlink() || name.to_string_lossy().ends_with(".metadata.json"),
            Err(_) => true,
        }
    })
}

impl DropPlan {
    /// Removes all of it.
    pub async fn execute(self, store: &Store) -> Result<(), Error> {
        let mut trash = self.leftovers;
        for table in &self.tables {
            let Some((name, from)) = &table.entry else { continue };
            check_writable(&table.folder)?;
            let (folder, uuid) = (table.folder.clone(), table.uuid.clone());
            let note = Note { table: table.table.clone(), uuid, folder };
            let new = Trash::create(&self.own_folder, note)?;
            let failed = |cause| name.failed("dropping", cause);
            let ident = name.ident().map_err(failed)?;
            let removed = store.pointer.remove(&ident, from).await;
            if !removed.map_err(|cause| name.unreadable(cause))? {
                return Err(Error::Contended { table: table.table.clone(), conflicts: 1 });
            }
            trash.retain(|trash| trash.path != new.path);
            trash.push(new);
        }
        for trash in &trash {
            trash.take(&trash.note.folder)?;
            // The namespace's folder goes with its last table.
            drop(trash.note.folder.parent().map(fs::remove_dir));
        }
        for path in self.objects.iter().chain(&self.components) {
            let is_dir = path.symlink_metadata().is_ok_and(|found| found.is_dir());
            let removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            match removed {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(|cause| remove_failed(path, cause))?,
            }
        }
        trash.into_iter().try_for_each(Trash::empty)
    }
}

/// Fails before the catalog forgets the table, and not after.
fn check_writable(folder: &Path) -> Result<(), Error> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    if !parent.exists() {
        return Ok(());
    }
    let probe = parent.join(format!(".audit-host-{}", Uuid::now_v7()));
    let failed = |cause| remove_failed(folder, cause);
    fs::write(&probe, b"").map_err(failed)?;
    fs::remove_file(&probe).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_its_own_in_the_warehouse_may_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (warehouse, outside) = (root.join("warehouse"), root.join("outside"));
        for folder in ["warehouse/ns/t", "warehouse/.audit-host/state", "outside", "warehouse2"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(&outside, warehouse.join("ns/link")).unwrap();
        std::os::unix::fs::symlink(&outside, warehouse.join("linked")).unwrap();
        fs::create_dir(outside.join("t")).unwrap();
        let check = |path: &Path| check_inside("ns.t", path, &warehouse).is_ok();
        assert!(check(&warehouse.join("ns/t")));
        assert!(check(&warehouse.join("ns/absent")));
        for bad in ["", "ns/link", "linked/t", "../outside", ".audit-host/state", "../warehouse2"] {
            assert!(!check(&warehouse.join(bad)), "{bad}");
        }
    }

    #[test]
    fn tables_that_another_catalog_knows_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("ns/t");
        for folder in ["ns/t/metadata", "ns/u/metadata", ".audit-host/plugins"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(ours.join("metadata/00000-x.metadata.json"), "").unwrap();
        assert!(!holds_metadata(dir.path(), &[&ours]));
        fs::write(dir.path().join("ns/u/metadata/00000-x.metadata.json"), "").unwrap();
        assert!(holds_metadata(dir.path(), &[&ours]));
    }
}
