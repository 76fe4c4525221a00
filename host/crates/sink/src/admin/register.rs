//! Takes the metadata of a table's folder into the catalog: where the catalog was lost, or is an old copy.

use std::path::Path;
use std::time::Duration;

use iceberg::io::FileIO;
use iceberg::table::Table;
use serde::Serialize;

use super::candidates::{self, Candidate, newest_epoch};
use super::lease::check_free;
use crate::catalog::folder::{self, local_path};
use crate::catalog::{CatalogSettings, Store, warehouse_of};
use crate::error::Error;
use crate::table::clock::rfc3339;
use crate::table::find::check_place;
use crate::table::names::TableName;
use crate::table::open::check_format;

/// What to register.
#[derive(Debug, Clone)]
pub struct RegisterRequest {
    pub name: TableName,
    /// This metadata file for this table alone; else the newest of the table and of its dead letters.
    pub metadata: Option<String>,
    /// How long a host elsewhere may be silent before it counts as gone.
    pub lease: Duration,
    pub is_dry_run: bool,
}

/// What was, or would be, done with one table.
#[derive(Debug, Serialize)]
pub struct Registration {
    pub table: String,
    pub change: RegisterChange,
    /// What the catalog named before.
    pub before: Option<String>,
    /// What it names now.
    pub metadata: Option<String>,
    pub updated: Option<String>,
    pub rows: Option<u64>,
    pub snapshots: usize,
    /// Files that were passed over, and why.
    pub notes: Vec<String>,
}

/// What becomes of the catalog's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisterChange {
    Added,
    Replaced,
    /// It is up to date.
    Unchanged,
    /// There is no such table: neither in the catalog nor in the folder.
    Absent,
}

struct Plan {
    name: TableName,
    before: Option<String>,
    /// What `before` is, if it can be read.
    known: Option<Table>,
    chosen: Option<Candidate>,
    notes: Vec<String>,
}

/// Registers the table, and its dead letters if no file was named. Changes nothing before both are known to fit. The
/// catalog's database is created if it does not exist; the warehouse must exist.
pub async fn register(
    settings: &CatalogSettings,
    request: &RegisterRequest,
) -> Result<Vec<Registration>, Error> {
    let (warehouse, file_io) = warehouse_of(settings)?;
    let store = Store::open_if_exists(settings).await?;
    let plans = match &request.metadata {
        Some(file) => vec![plan_file(store.as_ref(), &file_io, request, file).await?],
        None => plan_latest(store.as_ref(), &file_io, &warehouse, &request.name).await?,
    };
    for plan in &plans {
        check(plan, request.lease)?;
    }
    if plans.iter().all(|plan| plan.change() == RegisterChange::Unchanged) {
        let location = plans.into_iter().rev().find_map(|plan| plan.before).unwrap_or_default();
        return Err(Error::AlreadyRegistered { table: request.name.to_string(), location });
    }
    if !request.is_dry_run {
        let store = match store {
            Some(store) => store,
            None => Store::create_catalog(settings).await?,
        };
        for plan in &plans {
            apply(&store, plan).await?;
        }
    }
    Ok(plans.into_iter().map(Plan::into_registration).collect())
}

/// Dead letters come first: a host that finds the table registered would create a new table of dead letters.
async fn plan_latest(
    store: Option<&Store>,
    file_io: &FileIO,
    warehouse: &str,
    name: &TableName,
) -> Result<Vec<Plan>, Error> {
    let letters = plan_newest(store, file_io, warehouse, &name.dead_letters(), None).await?;
    let newest = letters.chosen.as_ref().map(|chosen| &chosen.table).or(letters.known.as_ref());
    let epoch = newest.and_then(newest_epoch);
    let rows = plan_newest(store, file_io, warehouse, name, epoch.as_deref()).await?;
    if rows.chosen.is_none() && rows.before.is_none() {
        return Err(nothing(&rows, warehouse));
    }
    // Whatever the catalog names, and cannot be read: a host could not start with it.
    let is_lost =
        |plan: &&Plan| plan.chosen.is_none() && plan.before.is_some() && plan.known.is_none();
    if let Some(lost) = [&rows, &letters].into_iter().find(is_lost) {
        return Err(nothing(lost, warehouse));
    }
    Ok(vec![letters, rows])
}

fn nothing(plan: &Plan, warehouse: &str) -> Error {
    let folder = plan.name.folder(warehouse);
    let named = plan.before.iter().map(|location| format!("the catalog names {location}"));
    let mut problems: Vec<String> = named.chain(plan.notes.iter().cloned()).collect();
    if problems.is_empty() {
        problems.push("check --table and --warehouse".to_owned());
    }
    let problem = problems.join("; ");
    Error::NothingToRegister { table: plan.name.to_string(), folder, problem }
}

async fn plan_newest(
    store: Option<&Store>,
    file_io: &FileIO,
    warehouse: &str,
    name: &TableName,
    newest_letters: Option<&str>,
) -> Result<Plan, Error> {
    let before = registered(store, name).await?;
    // An entry whose metadata is gone says nothing about the table.
    let known = match &before {
        Some(location) => folder::read(file_io, name, location).await.ok(),
        None => None,
    };
    let folder = match &known {
        Some(table) => table.metadata().location().to_owned(),
        None => name.folder(warehouse),
    };
    let uuid = known.as_ref().map(|table| table.metadata().uuid());
    let found = candidates::find(file_io, name, &folder, uuid).await;
    let (mut chosen, notes) = found.choose(newest_letters);
    // The catalog knows better than a folder that has nothing newer.
    if let (Some(newest), Some(known)) = (&chosen, &known)
        && newest.version <= version(known)
    {
        chosen = None;
    }
    if let Some(candidate) = &chosen {
        check_place(name, &candidate.table, &folder)?;
    }
    Ok(Plan { name: name.clone(), before, known, chosen, notes })
}

async fn plan_file(
    store: Option<&Store>,
    file_io: &FileIO,
    request: &RegisterRequest,
    file: &str,
) -> Result<Plan, Error> {
    let name = &request.name;
    let unreadable = |problem: String| Error::MetadataFile {
        table: name.to_string(),
        location: file.to_owned(),
        problem,
    };
    let path = local_path(file).canonicalize().map_err(|cause| unreadable(cause.to_string()))?;
    let location = format!("file://{}", path.display());
    let table = folder::read(file_io, name, &location).await.map_err(unreadable)?;
    let folder = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let folder = format!("file://{}", folder.display());
    check_place(name, &table, &folder)?;
    check_age(name, file_io, &folder, &table).await?;
    let before = registered(store, name).await?;
    let mut chosen = Some(Candidate { version: version(&table), table });
    if before.as_deref() == Some(location.as_str()) {
        chosen = None;
    }
    if let (Some(candidate), Some(before)) = (&chosen, &before) {
        check_uuid(name, file_io, before, candidate).await?;
    }
    if let (Some(candidate), Some(store)) = (&chosen, store) {
        check_names(name, file_io, store, candidate).await?;
    }
    Ok(Plan { name: name.clone(), before, known: None, chosen, notes: Vec::new() })
}

fn version(table: &Table) -> i32 {
    table.metadata_location().and_then(folder::version_of).unwrap_or_default()
}

async fn registered(store: Option<&Store>, name: &TableName) -> Result<Option<String>, Error> {
    let Some(store) = store else { return Ok(None) };
    let ident = name.ident().map_err(|cause| name.failed("naming", cause))?;
    store.pointer.read(&ident).await.map_err(|cause| name.unreadable(cause))
}

/// Another table of this name must be dropped first: its rows would be lost from sight.
async fn check_uuid(
    name: &TableName,
    file_io: &FileIO,
    before: &str,
    candidate: &Candidate,
) -> Result<(), Error> {
    let Ok(known) = folder::read(file_io, name, before).await else { return Ok(()) };
    let uuid = known.metadata().uuid();
    if uuid == candidate.uuid() {
        return Ok(());
    }
    let problem =
        format!("the catalog has another table of this name (uuid {uuid}): drop it first");
    Err(Error::NotThisTable { table: name.to_string(), problem })
}

/// A host would refuse to start with older metadata than the folder has.
async fn check_age(
    name: &TableName,
    file_io: &FileIO,
    folder: &str,
    table: &Table,
) -> Result<(), Error> {
    let found = candidates::find(file_io, name, folder, Some(table.metadata().uuid())).await;
    match found.newest.first() {
        Some(newest) if newest.version > version(table) => {
            let newest = newest.location();
            let problem = format!("the folder holds newer metadata, {newest}: use --latest");
            Err(Error::NotThisTable { table: name.to_string(), problem })
        }
        _ => Ok(()),
    }
}

/// Two names of one table would be two tables that write into one folder.
async fn check_names(
    name: &TableName,
    file_io: &FileIO,
    store: &Store,
    candidate: &Candidate,
) -> Result<(), Error> {
    let failed = |cause| name.failed("looking for other names of", cause);
    for namespace in store.catalog.list_namespaces(None).await.map_err(failed)? {
        for ident in store.catalog.list_tables(&namespace).await.map_err(failed)? {
            let other = ident.to_string();
            if other == name.to_string() {
                continue;
            }
            let location = store.pointer.read(&ident).await;
            let Some(location) = location.map_err(|cause| name.unreadable(cause))? else {
                continue;
            };
            let Ok(table) = folder::read(file_io, name, &location).await else { continue };
            if table.metadata().uuid() == candidate.uuid() {
                let problem = format!("the catalog has this table already, as {other}");
                return Err(Error::NotThisTable { table: name.to_string(), problem });
            }
        }
    }
    Ok(())
}

fn check(plan: &Plan, lease: Duration) -> Result<(), Error> {
    let Some(chosen) = &plan.chosen else { return Ok(()) };
    check_format(&plan.name, &chosen.table)?;
    check_free(&plan.name, &chosen.table, lease)
}

async fn apply(store: &Store, plan: &Plan) -> Result<(), Error> {
    let Some(chosen) = &plan.chosen else { return Ok(()) };
    let failed = |cause| plan.name.failed("registering", cause);
    let ident = plan.name.ident().map_err(failed)?;
    store.ensure_namespace(ident.namespace()).await.map_err(failed)?;
    let to = chosen.location();
    let done = match &plan.before {
        None => store.pointer.insert(&ident, to).await,
        Some(from) => store.pointer.replace(&ident, from, to).await,
    };
    if done.map_err(|cause| plan.name.unreadable(cause))? {
        return Ok(());
    }
    Err(Error::Contended { table: plan.name.to_string(), conflicts: 1 })
}

impl Plan {
    fn change(&self) -> RegisterChange {
        match (&self.chosen, &self.before) {
            (Some(_), None) => RegisterChange::Added,
            (Some(_), Some(_)) => RegisterChange::Replaced,
            (None, Some(_)) => RegisterChange::Unchanged,
            (None, None) => RegisterChange::Absent,
        }
    }

    fn into_registration(self) -> Registration {
        let metadata = self.chosen.as_ref().map(|chosen| chosen.table.metadata());
        let rows = metadata.map(|metadata| match metadata.current_snapshot() {
            None => Some(0),
            Some(newest) => {
                newest.summary().additional_properties.get("total-records")?.parse().ok()
            }
        });
        Registration {
            table: self.name.to_string(),
            change: self.change(),
            metadata: self.chosen.as_ref().map(|chosen| chosen.location().to_owned()),
            updated: metadata.map(|metadata| rfc3339(metadata.last_updated_ms())),
            rows: rows.flatten(),
            snapshots: metadata.map_or(0, |metadata| metadata.snapshots().len()),
            before: self.before,
            notes: self.notes,
        }
    }
}
