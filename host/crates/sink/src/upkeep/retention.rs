//! Which snapshots a table keeps.

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{SnapshotRef, TableMetadata};
use serde::Deserialize;

use crate::table::names;
use crate::upkeep::settings::{UpkeepSettings, millis};

/// Snapshots that one commit removes: bounds the history that is written for them, and the time that it takes.
pub(super) const EXPIRE_MAX: usize = 500;
const HOUR_MS: i64 = 3_600_000;
/// Groups whose newest snapshot is kept. Of more, those that have been silent longest lose it.
const GROUPS_MAX: usize = 32;

/// The snapshots that branches and tags name, by name. iceberg 0.10.1 offers no list of them, but writes them.
pub(super) fn refs(metadata: &TableMetadata) -> Result<HashMap<String, i64>, iceberg::Error> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        refs: HashMap<String, Ref>,
    }
    #[derive(Deserialize)]
    struct Ref {
        #[serde(rename = "snapshot-id")]
        snapshot_id: i64,
    }
    let failed = |cause: serde_json::Error| {
        iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "reading the branches and tags")
            .with_source(cause)
    };
    let json = serde_json::to_vec(metadata).map_err(failed)?;
    let read: Metadata = serde_json::from_slice(&json).map_err(failed)?;
    Ok(read.refs.into_iter().map(|(name, to)| (name, to.snapshot_id)).collect())
}

/// The snapshots that may go, oldest first: all but the newest, the newest of each group, the first of each hour of the
/// last days, the current one, and those that a branch or a tag names.
pub(super) fn expired(
    metadata: &TableMetadata,
    refs: &HashMap<String, i64>,
    settings: &UpkeepSettings,
    now_ms: i64,
) -> Vec<SnapshotRef> {
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| (snapshot.sequence_number(), snapshot.timestamp_ms()));
    let mut kept: HashSet<i64> = refs.values().copied().collect();
    kept.extend(metadata.current_snapshot_id());
    let newest = snapshots.iter().rev().take(settings.snapshots_min.max(1));
    kept.extend(newest.map(|snapshot| snapshot.snapshot_id()));
    kept.extend(newest_of_groups(&snapshots));
    let hourly_from = now_ms.saturating_sub(millis(settings.hourly_for));
    let mut first_of_hour = BTreeMap::new();
    for snapshot in &snapshots {
        if snapshot.timestamp_ms() >= hourly_from {
            let hour = snapshot.timestamp_ms().div_euclid(HOUR_MS);
            first_of_hour.entry(hour).or_insert_with(|| snapshot.snapshot_id());
        }
    }
    kept.extend(first_of_hour.into_values());
    snapshots.retain(|snapshot| !kept.contains(&snapshot.snapshot_id()));
    snapshots.truncate(EXPIRE_MAX);
    snapshots.into_iter().cloned().collect()
}

/// The newest snapshot of each group: its time says how long the group has been silent.
fn newest_of_groups(oldest_first: &[&SnapshotRef]) -> Vec<i64> {
    let mut groups = HashSet::new();
    let mut newest = Vec::new();
    for snapshot in oldest_first.iter().rev() {
        let group = snapshot.summary().additional_properties.get(names::SUMMARY_GROUP);
        if group.is_some_and(|group| groups.insert(group)) {
            newest.push(snapshot.snapshot_id());
        }
    }
    newest.truncate(GROUPS_MAX);
    newest
}

/// The hour that a commit was made in.
pub(super) fn hour_of(timestamp_ms: i64) -> i64 {
    timestamp_ms.div_euclid(HOUR_MS)
}
