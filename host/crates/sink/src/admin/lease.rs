//! Whether somebody may still write to a table.

use std::time::Duration;

use iceberg::table::Table;

use super::groups::{self, LaneState};
use crate::error::Error;
use crate::table::lane::LaneStatus;
use crate::table::names::TableName;

/// An error if a process holds a lane of the table and may live: it runs on this machine, or it runs elsewhere and has
/// committed within the lease.
pub(crate) fn check_free(name: &TableName, table: &Table, lease: Duration) -> Result<(), Error> {
    for report in groups::groups(table) {
        let Some(status) = LaneStatus::of(table, &report.group)? else { continue };
        let held = |by: String| Error::LaneHeld {
            table: name.to_string(),
            group: report.group.clone(),
            instance: status.mark.instance.clone(),
            by,
        };
        let pid = status.holder.as_ref().map(|holder| holder.pid).unwrap_or_default();
        match LaneState::of(&status) {
            LaneState::Running => return Err(held(format!("is running as process {pid}"))),
            LaneState::Elsewhere if status.silent < lease => {
                let (silent, lease) = (status.silent.as_secs(), lease.as_secs());
                let by = format!("committed {silent} s ago, within its lease of {lease} s");
                return Err(held(by));
            }
            LaneState::Elsewhere | LaneState::Ended | LaneState::Released => {}
        }
    }
    Ok(())
}
