//! One table and its dead letters at a glance.

use iceberg::table::Table;
use serde::Serialize;

use super::groups::{GroupReport, groups};
use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock::{now_ms, rfc3339};
use crate::table::names::{self, TableName};
use crate::upkeep::{UpkeepSettings, waiting_garbage};

/// What is known of one table.
#[derive(Debug, Serialize)]
pub struct TableReport {
    pub table: String,
    pub location: String,
    pub metadata: String,
    pub updated: String,
    /// Since the newest metadata, by this host's clock.
    pub age_s: u64,
    pub uuid: String,
    /// `audit-host.format`; `None` for a table that this program has not written yet.
    pub format: Option<String>,
    /// Whether a newer version wrote it.
    pub is_newer: bool,
    pub iceberg_format: u8,
    pub rows: Option<u64>,
    pub files: Option<u64>,
    pub bytes: Option<u64>,
    pub snapshots: usize,
    /// Of the newest snapshot; `None` if its list cannot be read.
    pub manifests: Option<usize>,
    pub groups: Vec<GroupReport>,
    /// What waits for its removal; `None` if nothing does.
    pub garbage: Option<GarbageReport>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// Files that no snapshot names any more.
#[derive(Debug, Serialize)]
pub struct GarbageReport {
    pub files: usize,
    /// When the next of them may be removed; `None` if all may be.
    pub due: Option<String>,
}

/// The table, and its dead letters if the catalog has them.
pub async fn show(
    store: &Store,
    name: &TableName,
    upkeep: &UpkeepSettings,
) -> Result<Vec<TableReport>, Error> {
    let mut reports = vec![report(store, name, &store.load(name).await?, upkeep).await];
    let letters = name.dead_letters();
    match store.load(&letters).await {
        Ok(table) => reports.push(report(store, &letters, &table, upkeep).await),
        Err(Error::NoTable { .. }) => {}
        // The table itself is fine: say what is wrong with the other.
        Err(error) => reports[0].problems.push(audit_core::text::one_line(&error)),
    }
    Ok(reports)
}

async fn report(
    store: &Store,
    name: &TableName,
    table: &Table,
    upkeep: &UpkeepSettings,
) -> TableReport {
    let metadata = table.metadata();
    let updated = metadata.last_updated_ms();
    let age_ms = now_ms().saturating_sub(updated);
    let format = metadata.properties().get(names::FORMAT_PROPERTY).cloned();
    let total = |key: &str| {
        let snapshot = metadata.current_snapshot()?;
        snapshot.summary().additional_properties.get(key)?.parse().ok()
    };
    let mut problems = Vec::new();
    let manifests = match metadata.current_snapshot() {
        None => Some(0),
        Some(snapshot) => match table.manifest_list_reader(snapshot).load().await {
            Ok(list) => Some(list.entries().len()),
            Err(error) => {
                problems.push(audit_core::text::one_line(&error));
                None
            }
        },
    };
    let groups = groups(table);
    let damaged = groups.iter().flat_map(|group| &group.damaged);
    problems.extend(damaged.map(|key| format!("the property {key} cannot be read")));
    let garbage = garbage(store, table, upkeep, &mut problems).await;
    TableReport {
        table: name.to_string(),
        location: metadata.location().to_owned(),
        metadata: table.metadata_location().unwrap_or_default().to_owned(),
        updated: rfc3339(updated),
        age_s: u64::try_from(age_ms / 1_000).unwrap_or_default(),
        uuid: metadata.uuid().to_string(),
        is_newer: format
            .as_ref()
            .is_some_and(|text| text.parse().is_ok_and(|n: u32| n > names::FORMAT)),
        format,
        iceberg_format: metadata.format_version() as u8,
        // A table without a snapshot has no rows; a foreign snapshot may not say how many.
        rows: metadata.current_snapshot().map_or(Some(0), |_| total("total-records")),
        files: metadata.current_snapshot().map_or(Some(0), |_| total("total-data-files")),
        bytes: metadata.current_snapshot().map_or(Some(0), |_| total("total-files-size")),
        snapshots: metadata.snapshots().len(),
        manifests,
        groups,
        garbage,
        problems,
    }
}

async fn garbage(
    store: &Store,
    table: &Table,
    upkeep: &UpkeepSettings,
    problems: &mut Vec<String>,
) -> Option<GarbageReport> {
    match waiting_garbage(store, table, upkeep).await {
        Ok(waiting) if waiting.n_waiting > 0 => {
            Some(GarbageReport { files: waiting.n_waiting, due: waiting.next_due_ms.map(rfc3339) })
        }
        Ok(_) => None,
        Err(error) => {
            problems.push(audit_core::text::one_line(&error));
            None
        }
    }
}
