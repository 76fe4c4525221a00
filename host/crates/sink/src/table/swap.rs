//! Replaces the metadata of a table by compare-and-set: the only way in which this crate commits.

use std::str::FromStr as _;

use audit_core::fail_point::reach;
use audit_core::text;
use iceberg::spec::{ManifestList, Snapshot};
use iceberg::table::Table;
use iceberg::{MetadataLocation, TableUpdate};
use tokio::time::timeout;

use crate::catalog::Store;
use crate::catalog::pointer::PointerError;
use crate::error::Error;
use crate::table::names::TableName;

/// The outcome of a commit that is known.
#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
pub(crate) enum Swapped {
    /// The table as it is since.
    Done(Table),
    /// Somebody else has committed since the base was read: load the table again.
    Conflict,
}

/// Applies the updates to exactly this state of the table, or not at all. An error of kind
/// [`Error::UnknownOutcome`] leaves open whether they are in the table; after any other they are not.
pub(crate) async fn swap(
    store: &Store,
    name: &TableName,
    base: &Table,
    updates: Vec<TableUpdate>,
) -> Result<Swapped, Error> {
    let failed = |cause| name.failed("committing to", cause);
    let from = base.metadata_location_result().map_err(failed)?;
    let mut builder = base.metadata().clone().into_builder(Some(from.to_owned()));
    for update in updates {
        builder = update.apply(builder).map_err(failed)?;
    }
    let metadata = builder.build().map_err(failed)?.metadata;
    let location = MetadataLocation::from_str(from).map_err(failed)?;
    let location = location.with_next_version().with_new_metadata(&metadata);
    metadata.write_to(&store.file_io, &location).await.map_err(failed)?;
    reach("metadata-written");
    let to = location.to_string();
    let replaced = store.pointer.replace(base.identifier(), from, &to);
    // No answer is believed. Some catalogs report a failed COMMIT as a success; others try again by themselves, find
    // their own commit, and report a conflict.
    let said = match timeout(store.waits.answer, replaced).await {
        Ok(Ok(true)) => "it said yes, but did not".to_owned(),
        Ok(Ok(false)) => "it refused without a reason".to_owned(),
        Ok(Err(cause @ PointerError::OtherFile { .. })) => return Err(name.unreadable(cause)),
        Ok(Err(cause)) => text::one_line(&cause),
        Err(_) => format!("no answer within {:?}", store.waits.answer),
    };
    if settle(store, name, base, &to, said).await? {
        let table = store.table(base.identifier().clone(), to, metadata).map_err(failed)?;
        return Ok(Swapped::Done(table));
    }
    // Nobody else knows of the file.
    remove(store, &to).await;
    Ok(Swapped::Conflict)
}

/// Finds out whether the pointer was replaced. `said` is what the catalog answered, for the case that it was not.
async fn settle(
    store: &Store,
    name: &TableName,
    base: &Table,
    to: &str,
    said: String,
) -> Result<bool, Error> {
    let unknown = |cause| Error::UnknownOutcome { table: name.to_string(), cause };
    let read = timeout(store.waits.answer, store.pointer.read(base.identifier())).await;
    let Ok(Ok(Some(now))) = read else {
        // The attempt's own error says why; that the catalog cannot be read either follows from it.
        return Err(unknown(said));
    };
    if now == to {
        return Ok(true);
    }
    if base.metadata_location() == Some(now.as_str()) {
        return Err(Error::NotCommitted { table: name.to_string(), cause: said });
    }
    // Others have committed since: on top of ours, or instead of it.
    let table = store.reload(name, base).await.map_err(|_| unknown(said))?;
    let log = table.metadata().metadata_log();
    if log.iter().any(|entry| entry.metadata_file == to) {
        return Ok(true);
    }
    Ok(false)
}

/// Removes the manifests that were written for a commit that lost against another one.
pub(crate) async fn discard(store: &Store, updates: &[TableUpdate]) {
    for update in updates {
        if let TableUpdate::AddSnapshot { snapshot } = update {
            for path in written_for(store, snapshot).await {
                remove(store, &path).await;
            }
        }
    }
}

async fn written_for(store: &Store, snapshot: &Snapshot) -> Vec<String> {
    let list = snapshot.manifest_list().to_owned();
    let read = async {
        let bytes = store.file_io.new_input(&list)?.read().await?;
        ManifestList::parse_with_version(&bytes, iceberg::spec::FormatVersion::V2)
    };
    let mut paths = match read.await {
        Ok(read) => {
            let own = read.entries().iter();
            let own = own.filter(|entry| entry.added_snapshot_id == snapshot.snapshot_id());
            own.map(|entry| entry.manifest_path.clone()).collect()
        }
        Err(_) => Vec::new(),
    };
    paths.push(list);
    paths
}

/// A file that is left over costs bytes and nothing else.
pub(crate) async fn remove(store: &Store, location: &str) {
    if let Err(error) = store.file_io.delete(location).await {
        tracing::warn!(location, %error, "could not remove a file that is no longer needed");
    }
}
