//! The snapshots of a table: what each committed.

use std::collections::BTreeMap;

use iceberg::spec::{Snapshot, TableMetadata};
use serde::Serialize;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock::rfc3339;
use crate::table::names::{self, TableName};

/// One snapshot.
#[derive(Debug, Serialize)]
pub struct SnapshotReport {
    pub id: i64,
    pub time: String,
    pub operation: String,
    /// Whether it is the one that readers see.
    pub is_current: bool,
    pub group: Option<String>,
    /// `None` for a snapshot of another program, and of the upkeep.
    pub epoch: Option<String>,
    /// The lane's new holder, if the snapshot is a claim.
    pub claim: Option<String>,
    pub version: Option<String>,
    pub rows: u64,
    pub dead_letters: Option<u64>,
    pub alerts: Option<u64>,
    /// What was read, by topic and partition.
    pub offsets: BTreeMap<String, BTreeMap<i32, SpanReport>>,
    /// Branches and tags that name it.
    pub refs: Vec<String>,
}

/// What a snapshot covers of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SpanReport {
    pub start: i64,
    /// The offset to read next.
    pub next: i64,
    pub records: i64,
    /// Offsets without a record: deleted, compacted away, or markers of transactions.
    pub holes: i64,
}

/// Every snapshot that the table has, oldest first.
pub async fn snapshots(store: &Store, name: &TableName) -> Result<Vec<SnapshotReport>, Error> {
    let table = store.load(name).await?;
    let metadata = table.metadata();
    let refs = refs(metadata);
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|s| (s.sequence_number(), s.timestamp_ms(), s.snapshot_id()));
    Ok(snapshots.into_iter().map(|snapshot| report(metadata, snapshot, &refs)).collect())
}

/// The names that point at each snapshot.
fn refs(metadata: &TableMetadata) -> BTreeMap<i64, Vec<String>> {
    let mut refs: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    // iceberg has no way to list them, but the metadata's JSON does.
    let json = serde_json::to_value(metadata).unwrap_or_default();
    for (name, reference) in json["refs"].as_object().into_iter().flatten() {
        if let Some(id) = reference["snapshot-id"].as_i64() {
            refs.entry(id).or_default().push(name.clone());
        }
    }
    refs
}

fn report(
    metadata: &TableMetadata,
    snapshot: &Snapshot,
    refs: &BTreeMap<i64, Vec<String>>,
) -> SnapshotReport {
    let summary = &snapshot.summary().additional_properties;
    let text = |key: &str| summary.get(key).cloned();
    let number = |key: &str| summary.get(key).and_then(|text| text.parse().ok());
    let id = snapshot.snapshot_id();
    SnapshotReport {
        id,
        time: rfc3339(snapshot.timestamp_ms()),
        operation: snapshot.summary().operation.as_str().to_owned(),
        is_current: metadata.current_snapshot_id() == Some(id),
        group: text(names::SUMMARY_GROUP),
        epoch: text(names::SUMMARY_EPOCH),
        claim: text(names::SUMMARY_CLAIM),
        version: text(names::SUMMARY_VERSION),
        rows: number("added-records").unwrap_or_default(),
        dead_letters: number(names::SUMMARY_DEAD_LETTERS),
        alerts: number(names::SUMMARY_ALERTS),
        offsets: summary.get(names::SUMMARY_OFFSETS).map(|json| spans(json)).unwrap_or_default(),
        refs: refs.get(&id).cloned().unwrap_or_default(),
    }
}

/// Offsets that cannot be read are left out: others may have written the summary.
fn spans(json: &str) -> BTreeMap<String, BTreeMap<i32, SpanReport>> {
    type Spans = BTreeMap<String, BTreeMap<i32, Vec<i64>>>;
    let spans: Spans = serde_json::from_str(json).unwrap_or_default();
    let span = |(partition, span): (i32, Vec<i64>)| match span[..] {
        [start, next, records, holes, ..] => {
            Some((partition, SpanReport { start, next, records, holes }))
        }
        _ => None,
    };
    spans
        .into_iter()
        .map(|(topic, of)| (topic, of.into_iter().filter_map(span).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_from_any_summary() {
        let read = spans(r#"{"t":{"0":[5,9,4,0],"1":[1]}}"#);
        let span = SpanReport { start: 5, next: 9, records: 4, holes: 0 };
        assert_eq!(read["t"], BTreeMap::from([(0, span)]));
        for torn in ["", "{", "[]", r#"{"t":{"x":[1,2]}}"#] {
            assert!(spans(torn).is_empty(), "{torn}");
        }
    }
}
