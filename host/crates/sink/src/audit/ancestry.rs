//! Whether a table still builds on what this process, or the one before it, has committed.
//!
//! Another program may set a table back while a host runs. Its properties stay, and so the lane does: without this
//! check the next commit would be made on top of the older snapshot, and what was in between would be gone.

use iceberg::table::Table;

use crate::audit::{provenance, witness};
use crate::error::Error;
use crate::table::names::{self, TableName};

#[derive(Debug, PartialEq, Eq)]
enum Relation {
    /// The same snapshot, or one that was made on top of it.
    OnTop,
    /// The earlier snapshot exists, and is none of the parents.
    Beside,
    /// Snapshots in between have expired.
    Unknown,
}

/// Fails if the table was set back since it was `base`.
pub(crate) async fn check(
    name: &TableName,
    base: &Table,
    table: &Table,
    group: &str,
) -> Result<(), Error> {
    let properties = table.metadata().properties();
    match relation(base, table) {
        Relation::OnTop => Ok(()),
        // Rows that are still there were not lost, whatever the snapshots say.
        _ if properties.contains_key(&names::witness_property(group)) => {
            witness::check(name, table, group).await
        }
        Relation::Beside if properties.contains_key(&names::done_property(group)) => {
            Err(set_back(name, table))
        }
        _ => Ok(()),
    }
}

/// Fails if the table of dead letters lacks those of the newest epoch that was appended.
pub(crate) fn check_dead_letters(
    name: &TableName,
    table: &Table,
    group: &str,
) -> Result<(), Error> {
    let Some(epoch) = table.metadata().properties().get(&names::epoch_property(group)) else {
        return Ok(());
    };
    if provenance::has_epoch(table, epoch) && !provenance::is_on_epoch(table, epoch) {
        return Err(set_back(name, table));
    }
    Ok(())
}

fn set_back(name: &TableName, table: &Table) -> Error {
    let snapshot = table.metadata().current_snapshot_id();
    let snapshot = snapshot.map_or_else(|| "none".to_owned(), |id| id.to_string());
    Error::SetBack { table: name.to_string(), snapshot }
}

fn relation(base: &Table, table: &Table) -> Relation {
    let Some(known) = base.metadata().current_snapshot_id() else { return Relation::OnTop };
    if provenance::lineage_of(table).any(|id| id == known) {
        return Relation::OnTop;
    }
    match table.metadata().snapshot_by_id(known) {
        Some(_) => Relation::Beside,
        None => Relation::Unknown,
    }
}
