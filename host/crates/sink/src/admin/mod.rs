//! What an operator asks of a table, and does to it, beside a running host: see `audit-host table`.
//!
//! Nothing here holds a lane. What reads shows a damaged table as far as it can be read; what changes compares first
//! and then sets, and leaves everything alone that a running host may still need.

mod groups;
mod lease;

mod show;
mod snapshots;

mod candidates;
mod register;

mod drop;
mod objects;
mod trash;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::names::TableName;
use crate::table::open::check_format;

pub use drop::{DropPlan, DroppedTable, plan as plan_drop};
pub use groups::{GroupReport, LaneReport, LaneState};
pub use register::{RegisterChange, RegisterRequest, Registration, register};
pub use show::{GarbageReport, TableReport, show};
pub use snapshots::{SnapshotReport, SpanReport, snapshots};

/// The table, and its dead letters if the catalog has them: what a command works on. An error if a newer version of the
/// program has written one of them.
pub async fn tables(store: &Store, name: &TableName) -> Result<Vec<TableName>, Error> {
    check_format(name, &store.load(name).await?)?;
    let letters = name.dead_letters();
    match store.load(&letters).await {
        Ok(table) => check_format(&letters, &table)?,
        Err(Error::NoTable { .. }) => return Ok(vec![name.clone()]),
        Err(error) => return Err(error),
    }
    Ok(vec![name.clone(), letters])
}
