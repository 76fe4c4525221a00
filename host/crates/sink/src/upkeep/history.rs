//! What expired snapshots held: offsets, provenance, and the commit of each change of the chain.
//!
//! Consecutive epochs of the same plugins become one run, cut at each hour. What grows is sealed in segments of a
//! bounded size, so that an hour's commit writes the head and not the year.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use audit_core::{Change, PluginId, TopicPartition, text};
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::audit::lineage;
use crate::catalog::Store;
use crate::error::Error;
use crate::table::names;
use crate::table::outbox::Pointer;
use crate::upkeep::object::{self, HISTORY_FOLDER, HISTORY_PROPERTY, Stored};
use crate::upkeep::retention::hour_of;

const FORMAT: u32 = 1;
/// What the head holds by itself before it is sealed into a segment: it is written again with each removal.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// Runs of other groups between two epochs of one group. A run further back is not continued.
const LOOK_BACK: usize = 8;

/// By topic and partition: first offset, offset to read next, records, holes. As in a summary.
type Spans = BTreeMap<String, BTreeMap<i32, (i64, i64, u64, u64)>>;

/// What is known of the snapshots that the table no longer has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct History {
    format: u32,
    /// The table's UUID: no two tables share an object.
    table: String,
    /// When it was written, in milliseconds since 1970.
    at: i64,
    /// The sequence number up to which snapshots are in it.
    through: i64,
    /// By group, what its newest recorded epoch left behind.
    groups: BTreeMap<String, Latest>,
    /// Not flattened: serde then takes the numbers of partitions for texts.
    open: Entries,
    /// Older entries, oldest first.
    sealed: Vec<Sealed>,
}

/// Adds what only expired snapshots had: offsets and plugins whose properties somebody removed.
pub(crate) async fn complete(
    store: &Store,
    table: &Table,
    group: &str,
    topics: &[String],
    offsets: &mut HashMap<TopicPartition, i64>,
    plugins: &mut Option<Vec<PluginId>>,
) -> Result<(), Error> {
    let history = match History::read(store, table).await {
        Ok(history) => history,
        // Without any offset it may hold where to read on; otherwise the properties say so.
        Err(error) if offsets.is_empty() => return Err(error),
        Err(error) => {
            let error = text::one_line(&error);
            tracing::warn!(error, "the history of expired snapshots cannot be read");
            return Ok(());
        }
    };
    for (at, next) in history.offsets(group, topics) {
        offsets.entry(at).or_insert(next);
    }
    if plugins.is_none() {
        *plugins = history.chain(group).map(<[_]>::to_vec);
    }
    Ok(())
}

/// Runs and changes; also the content of a sealed segment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Entries {
    pub(crate) runs: Vec<Run>,
    pub(crate) changes: Vec<ChangeCommit>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Latest {
    sequence: i64,
    offsets: BTreeMap<String, BTreeMap<i32, i64>>,
    plugins: Option<Vec<PluginId>>,
}

/// Consecutive epochs of one group with the same plugins, lookups and version of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) group: String,
    version: String,
    plugins: serde_json::Value,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    lookups: serde_json::Value,
    pub(crate) spans: Spans,
    pub(crate) commits: u64,
    pub(crate) first: Mark,
    pub(crate) last: Mark,
    dead_letters: u64,
    alerts: u64,
}

/// A commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) snapshot: i64,
    pub(crate) sequence: i64,
    /// In milliseconds since 1970.
    pub(crate) at: i64,
}

/// A change of the chain, and the commit that made it visible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChangeCommit {
    pub(crate) group: String,
    pub(crate) mark: Mark,
    pub(crate) change: Change,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sealed {
    location: String,
    sha256: String,
    first: i64,
    last: i64,
}

#[derive(Serialize, Deserialize)]
struct Segment {
    format: u32,
    table: String,
    at: i64,
    entries: Entries,
}

impl History {
    /// The history that the table names; an empty one if it names none. A damaged one is an error: it must not be
    /// replaced by an empty one.
    pub(crate) async fn read(store: &Store, table: &Table) -> Result<Self, Error> {
        let Some(pointer) = object::pointer_in(table, HISTORY_PROPERTY)? else {
            return Ok(Self::default());
        };
        match object::get::<Self>(store, &pointer).await? {
            Stored::Found(history) if history.format == FORMAT => Ok(history),
            Stored::Found(history) => {
                let format = history.format;
                Err(damaged(
                    &pointer.location,
                    format!("its format {format} is not supported by this version"),
                ))
            }
            Stored::Damaged(problem) => Err(damaged(&pointer.location, problem)),
        }
    }

    /// The sequence number up to which snapshots are in it.
    pub(super) fn through(&self) -> i64 {
        self.through
    }

    /// The offset to read next of each partition that the group had read when its newest recorded epoch ended.
    pub(crate) fn offsets<'a>(
        &'a self,
        group: &str,
        topics: &'a [String],
    ) -> impl Iterator<Item = (TopicPartition, i64)> + 'a {
        let latest = self.groups.get(group);
        let known = move |topic: &'a String| Some((topic, latest?.offsets.get(topic)?));
        topics.iter().filter_map(known).flat_map(|(topic, partitions)| {
            let topic: Arc<str> = Arc::from(topic.as_str());
            partitions.iter().map(move |(at, next)| (TopicPartition::new(&topic, *at), *next))
        })
    }

    /// The group's chain after its newest recorded epoch.
    pub(crate) fn chain(&self, group: &str) -> Option<&[PluginId]> {
        self.groups.get(group)?.plugins.as_deref()
    }

    /// Every run and every change, oldest first. Reads all segments.
    pub(crate) async fn entries(&self, store: &Store) -> Result<Entries, Error> {
        let mut all = Entries::default();
        for sealed in &self.sealed {
            let (location, sha256) = (sealed.location.clone(), sealed.sha256.clone());
            let pointer = object::of_table(location, sha256);
            match object::get::<Segment>(store, &pointer).await? {
                Stored::Found(segment) => {
                    all.runs.extend(segment.entries.runs);
                    all.changes.extend(segment.entries.changes);
                }
                Stored::Damaged(problem) => return Err(damaged(&pointer.location, problem)),
            }
        }
        all.runs.extend(self.open.runs.iter().cloned());
        all.changes.extend(self.open.changes.iter().cloned());
        Ok(all)
    }

    /// The locations that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.sealed.iter().map(|sealed| sealed.location.as_str())
    }

    /// Adds snapshots that are about to go, oldest first.
    pub(super) fn record(&mut self, snapshots: &[SnapshotRef]) {
        for snapshot in snapshots {
            if snapshot.sequence_number() > self.through {
                self.through = snapshot.sequence_number();
                self.record_one(snapshot);
            }
        }
    }

    fn record_one(&mut self, snapshot: &SnapshotRef) {
        let Some(run) = Run::of(snapshot) else { return };
        // A summary that cannot be read would be lost silently otherwise.
        let changes = lineage::changes_in(snapshot).unwrap_or_else(|error| {
            let error = text::one_line(&error);
            tracing::warn!(error, "the history lacks the plugin changes of a damaged snapshot");
            Vec::new()
        });
        self.remember(&run, &changes);
        let of_group = |change| ChangeCommit { group: run.group.clone(), mark: run.first, change };
        self.open.changes.extend(changes.into_iter().map(of_group));
        let mut near = self.open.runs.iter_mut().rev().take(LOOK_BACK);
        let last = near.find(|last| last.group == run.group);
        if let Some(last) = last.filter(|last| last.is_continued_by(&run)) {
            last.extend(run);
            return;
        }
        self.open.runs.push(run);
    }

    fn remember(&mut self, run: &Run, changes: &[Change]) {
        let latest = self.groups.entry(run.group.clone()).or_default();
        latest.sequence = run.last.sequence;
        for (topic, partitions) in &run.spans {
            let known = latest.offsets.entry(topic.clone()).or_default();
            known.extend(partitions.iter().map(|(partition, span)| (*partition, span.1)));
        }
        if let Ok(plugins) = serde_json::from_value::<Vec<PluginId>>(run.plugins.clone()) {
            latest.plugins = Some(lineage::after(&plugins, changes));
        }
    }

    /// Writes it, sealing what has grown too large. Returns all that was written, the head last.
    pub(super) async fn write(
        &mut self,
        store: &Store,
        table: &Table,
        now_ms: i64,
    ) -> Result<Vec<Pointer>, Error> {
        let mut written = Vec::new();
        self.format = FORMAT;
        self.table = table.metadata().uuid().to_string();
        self.at = now_ms;
        let size = serde_json::to_vec(&self.open).map_or(0, |bytes| bytes.len());
        if size > HEAD_BYTES_MAX {
            let entries = std::mem::take(&mut self.open);
            let first = entries.runs.first().map_or(now_ms, |run| run.first.at);
            let last = entries.runs.last().map_or(now_ms, |run| run.last.at);
            let table = self.table.clone();
            let segment = Segment { format: FORMAT, table, at: now_ms, entries };
            let pointer = object::put(store, HISTORY_FOLDER, &segment).await?;
            let (location, sha256) = (pointer.location.clone(), pointer.sha256.clone());
            self.sealed.push(Sealed { location, sha256, first, last });
            written.push(pointer);
        }
        written.push(object::put(store, HISTORY_FOLDER, &*self).await?);
        Ok(written)
    }
}

fn damaged(location: &str, problem: String) -> Error {
    Error::Damaged {
        what: "the history of expired snapshots",
        location: location.to_owned(),
        problem,
    }
}

impl Run {
    /// The run of one snapshot; `None` if it is no epoch of ours.
    fn of(snapshot: &SnapshotRef) -> Option<Self> {
        let summary = &snapshot.summary().additional_properties;
        summary.get(names::SUMMARY_EPOCH)?;
        let string = |key: &str| summary.get(key).cloned().unwrap_or_default();
        let json = |key: &str| {
            let parsed = summary.get(key).and_then(|text| serde_json::from_str(text).ok());
            parsed.unwrap_or(serde_json::Value::Null)
        };
        let count = |key: &str| summary.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mark = Mark {
            snapshot: snapshot.snapshot_id(),
            sequence: snapshot.sequence_number(),
            at: snapshot.timestamp_ms(),
        };
        Some(Self {
            group: string(names::SUMMARY_GROUP),
            version: string(names::SUMMARY_VERSION),
            plugins: json(names::SUMMARY_PLUGINS),
            lookups: json(names::SUMMARY_LOOKUPS),
            spans: serde_json::from_value(json(names::SUMMARY_OFFSETS)).unwrap_or_default(),
            commits: 1,
            first: mark,
            last: mark,
            dead_letters: count(names::SUMMARY_DEAD_LETTERS),
            alerts: count(names::SUMMARY_ALERTS),
        })
    }

    fn is_continued_by(&self, next: &Self) -> bool {
        let joins = |topic: &String, partition: &i32, start: i64| {
            let before = self.spans.get(topic).and_then(|of_topic| of_topic.get(partition));
            before.is_none_or(|before| before.1 == start)
        };
        hour_of(self.first.at) == hour_of(next.last.at)
            && self.version == next.version
            && self.plugins == next.plugins
            && self.lookups == next.lookups
            && next.spans.iter().all(|(topic, of_topic)| {
                of_topic.iter().all(|(partition, span)| joins(topic, partition, span.0))
            })
    }

    fn extend(&mut self, next: Self) {
        for (topic, of_topic) in next.spans {
            let ours = self.spans.entry(topic).or_default();
            for (partition, (start, end, records, holes)) in of_topic {
                let span = ours.entry(partition).or_insert((start, start, 0, 0));
                *span = (span.0, end, span.2 + records, span.3 + holes);
            }
        }
        self.commits += next.commits;
        self.last = next.last;
        self.dead_letters += next.dead_letters;
        self.alerts += next.alerts;
    }
}
