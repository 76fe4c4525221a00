//! The summary of a snapshot: enough to prove where every row of its epoch came from, and to restore the
//! offsets if their properties were removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use audit_core::{Epoch, TopicPartition};
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;

use crate::error::Error;
use crate::table::lane::LaneMark;
use crate::table::names;
use crate::table::settings::TableSettings;

/// By topic and partition: first offset, offset to read next, records, holes. Short, because every snapshot has
/// one.
type Spans<'a> = BTreeMap<&'a str, BTreeMap<i32, (i64, i64, u64, u64)>>;

/// What the summary of each snapshot of a group says: who has committed, as which number.
pub(crate) fn lane_summary(settings: &TableSettings, mark: &LaneMark) -> HashMap<String, String> {
    [
        (names::SUMMARY_VERSION, settings.host_version.clone()),
        (names::SUMMARY_GROUP, settings.group.clone()),
        (names::SUMMARY_LANE, names::LANE.to_owned()),
        (names::SUMMARY_SEQUENCE, mark.sequence.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The summary of an epoch's snapshot.
pub(crate) fn summary(
    settings: &TableSettings,
    epoch: &Epoch,
    mark: &LaneMark,
) -> HashMap<String, String> {
    let mut spans = Spans::new();
    for (at, span) in epoch.covered.iter() {
        let of_topic = spans.entry(&at.topic).or_default();
        of_topic.insert(at.partition, (span.start, span.next, span.records, span.holes()));
    }
    let mut summary = lane_summary(settings, mark);
    let of_epoch = [
        (names::SUMMARY_EPOCH, epoch.staged.epoch_id.clone()),
        (names::SUMMARY_OFFSETS, serde_json::json!(spans).to_string()),
        (names::SUMMARY_PLUGINS, serde_json::json!(epoch.plugins).to_string()),
        (names::SUMMARY_DEAD_LETTERS, epoch.staged.n_dead_letters.to_string()),
        (names::SUMMARY_ALERTS, epoch.alerts.len().to_string()),
    ];
    summary.extend(of_epoch.map(|(key, value)| (key.to_owned(), value)));
    if !epoch.lookups.is_empty() {
        let lookups = serde_json::json!(epoch.lookups).to_string();
        summary.insert(names::SUMMARY_LOOKUPS.to_owned(), lookups);
    }
    if !epoch.changes.is_empty() {
        let changes = serde_json::json!(epoch.changes).to_string();
        summary.insert(names::SUMMARY_PLUGIN_CHANGES.to_owned(), changes);
    }
    summary
}

/// The summary of a snapshot of dead letters.
pub(crate) fn dead_letter_summary(group: &str, epoch_id: &str) -> HashMap<String, String> {
    [(names::SUMMARY_GROUP, group), (names::SUMMARY_EPOCH, epoch_id)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Whether a snapshot of this epoch is in the table.
pub(crate) fn has_epoch(table: &Table, epoch_id: &str) -> bool {
    table.metadata().snapshots().any(|snapshot| is_of(snapshot, epoch_id))
}

/// Whether the current snapshot was made on top of that of the epoch: then its rows were not rolled back.
pub(crate) fn is_on_epoch(table: &Table, epoch_id: &str) -> bool {
    let metadata = table.metadata();
    let mut snapshots = lineage_of(table).filter_map(|id| metadata.snapshot_by_id(id));
    snapshots.any(|snapshot| is_of(snapshot, epoch_id))
}

fn is_of(snapshot: &SnapshotRef, epoch_id: &str) -> bool {
    let summary = &snapshot.summary().additional_properties;
    summary.get(names::SUMMARY_EPOCH).is_some_and(|id| id == epoch_id)
}

/// The ids of the current snapshot and of those that it was made on, newest first. The last may have expired.
pub(crate) fn lineage_of(table: &Table) -> impl Iterator<Item = i64> {
    let metadata = table.metadata();
    std::iter::successors(metadata.current_snapshot_id(), move |id| {
        metadata.snapshot_by_id(*id)?.parent_snapshot_id()
    })
}

/// The offset to read next of every partition: from the properties; if one is absent, from the newest snapshot of
/// the group that covers the partition.
pub(crate) fn offsets(
    table: &Table,
    group: &str,
    topics: &[String],
) -> Result<HashMap<TopicPartition, i64>, Error> {
    let metadata = table.metadata();
    let mut offsets = names::offsets_in(metadata.properties(), group, topics)?;
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
    for snapshot in snapshots {
        let summary = &snapshot.summary().additional_properties;
        if summary.get(names::SUMMARY_GROUP).is_none_or(|of| of != group) {
            continue;
        }
        let Some(json) = summary.get(names::SUMMARY_OFFSETS) else { continue };
        let spans: Spans<'_> = serde_json::from_str(json).map_err(|cause| Error::Damaged {
            what: "the summary of a snapshot",
            location: snapshot.snapshot_id().to_string(),
            problem: cause.to_string(),
        })?;
        for topic in topics {
            let of_topic = spans.get(topic.as_str()).into_iter().flatten();
            for (partition, (_, next, ..)) in of_topic {
                let at = TopicPartition::new(&Arc::from(topic.as_str()), *partition);
                offsets.entry(at).or_insert(*next);
            }
        }
    }
    Ok(offsets)
}
