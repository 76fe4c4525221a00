//! Merges manifests: appending adds one with each commit, and readers open all of them.
//!
//! Merging is log-structured: manifests of about the same size become one of the next size, up to the target. So
//! each entry is written again a few times in its life, and not with each merge.

use std::collections::{BTreeMap, HashMap, HashSet};

use audit_core::fail_point::reach;
use iceberg::TableUpdate;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile, ManifestListWriter,
    ManifestWriterBuilder, Operation, SchemaRef, Snapshot, SnapshotReference, SnapshotRetention,
    Summary,
};
use iceberg::table::Table;
use uuid::Uuid;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock::now_ms;
use crate::table::names::TableName;
use crate::table::swap::{Swapped, swap};

/// Manifests that one merge reads at most.
const SOURCES_MAX: usize = 500;
/// Entries of a merged manifest at most. Iceberg's writer keeps all of them in memory, about 3 KiB each, and its default
/// target of 8 MiB compressed has tens of thousands.
const ENTRIES_MAX: u64 = 10_000;
/// Marks the snapshot of a merge; it is no epoch.
pub(super) const SUMMARY_UPKEEP: &str = "audit-host.upkeep";

/// When manifests are merged, by Iceberg's own table properties.
#[derive(Debug, Clone, Copy)]
pub(super) struct MergeSettings {
    pub(super) is_enabled: bool,
    target_bytes: i64,
    count_min: usize,
}

impl MergeSettings {
    pub(super) fn of(table: &Table) -> Self {
        let properties = table.metadata().properties();
        let number = |key: &str| properties.get(key).and_then(|text| text.parse::<i64>().ok());
        let target = number("commit.manifest.target-size-bytes").filter(|bytes| *bytes > 0);
        let count = number("commit.manifest.min-count-to-merge").filter(|count| *count > 1);
        let is_off = properties.get("commit.manifest-merge.enabled").is_some_and(|v| v == "false");
        Self {
            // Version 1 has no sequence numbers, and version 3 gives rows an identity by manifest.
            is_enabled: !is_off && table.metadata().format_version() == FormatVersion::V2,
            target_bytes: target.unwrap_or(8 << 20),
            count_min: count.and_then(|count| usize::try_from(count).ok()).unwrap_or(100),
        }
    }
}

#[cfg(test)]
impl MergeSettings {
    pub(super) fn with(target_bytes: i64, count_min: usize) -> Self {
        Self { is_enabled: true, target_bytes, count_min }
    }
}

/// The manifests to be merged into one, in the order of their list; empty if there is nothing to do.
pub(super) fn plan(manifests: &[ManifestFile], settings: MergeSettings) -> Vec<ManifestFile> {
    if !settings.is_enabled {
        return Vec::new();
    }
    let mut tiers: BTreeMap<(u32, i32), Vec<&ManifestFile>> = BTreeMap::new();
    for manifest in manifests {
        let length = manifest.manifest_length;
        // Deletions apply by sequence number; they and what is encrypted are left alone.
        let may_merge = manifest.content == ManifestContentType::Data
            && manifest.key_metadata.is_none()
            && length < settings.target_bytes / 2
            && entries_of(manifest) < ENTRIES_MAX / 2;
        if may_merge {
            let tier = length.max(1).ilog10();
            tiers.entry((tier, manifest.partition_spec_id)).or_default().push(manifest);
        }
    }
    for tier in tiers.into_values() {
        let bytes: i64 = tier.iter().map(|manifest| manifest.manifest_length).sum();
        if tier.len() < settings.count_min && bytes < settings.target_bytes {
            continue;
        }
        let (mut total, mut n_entries) = (0, 0);
        let fits = |manifest: &&&ManifestFile| {
            total += manifest.manifest_length;
            n_entries += entries_of(manifest);
            total <= settings.target_bytes && n_entries <= ENTRIES_MAX
        };
        let sources: Vec<_> = tier.iter().take(SOURCES_MAX).take_while(fits).collect();
        if sources.len() > 1 {
            return sources.into_iter().map(|manifest| (*manifest).clone()).collect();
        }
    }
    Vec::new()
}

/// The files that a manifest names, as far as its list says; older writers leave the counts out.
fn entries_of(manifest: &ManifestFile) -> u64 {
    let counts =
        [manifest.added_files_count, manifest.existing_files_count, manifest.deleted_files_count];
    counts.into_iter().flatten().map(u64::from).sum()
}

/// A merge whose manifests are written, and named by nothing yet.
#[derive(Debug)]
pub(super) struct Prepared {
    snapshot_id: i64,
    sources: HashSet<String>,
    merged: Vec<ManifestFile>,
    n_entries: usize,
}

/// What became of a merge.
pub(super) enum Merged {
    Done(Table),
    /// Somebody else committed meanwhile: it may be tried again on the newer table.
    Conflict(Prepared),
    /// The sources are no longer in the table: what was written is removed.
    Outdated,
}

/// Reads the sources and writes what replaces them. They never change: this needs no look at newer commits.
pub(super) async fn prepare(
    store: &Store,
    name: &TableName,
    table: &Table,
    sources: Vec<ManifestFile>,
) -> Result<Option<Prepared>, Error> {
    let failed = |cause| name.failed("merging the manifests of", cause);
    let snapshot_id = new_snapshot_id(table);
    // By schema: the bounds of a file are written in the types of its manifest's schema.
    let mut by_schema: BTreeMap<i32, Group> = BTreeMap::new();
    for source in sources {
        let manifest = source.load_manifest(table.file_io()).await.map_err(failed)?;
        let schema = manifest.metadata().schema().clone();
        let group = by_schema.entry(schema.schema_id()).or_insert_with(|| Group::of(schema));
        group.add(&source, manifest.entries());
        tokio::task::yield_now().await;
    }
    let mut prepared =
        Prepared { snapshot_id, sources: HashSet::new(), merged: Vec::new(), n_entries: 0 };
    for group in by_schema.into_values() {
        if group.sources.len() < 2 {
            continue;
        }
        let Some(spec) = table.metadata().partition_spec_by_id(group.spec_id) else { continue };
        let part = prepared.merged.len();
        let path = format!("{}/metadata/{}-m{part}.avro", location(table), Uuid::now_v7());
        let output = store.file_io.new_output(path).map_err(failed)?;
        let schema = group.schema.clone();
        let spec = spec.as_ref().clone();
        let mut writer =
            ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec).build_v2_data();
        prepared.n_entries += group.entries.len();
        let has_entries = !group.entries.is_empty();
        for entry in group.entries {
            let Entry { file, snapshot_id, sequence, file_sequence } = entry;
            writer.add_existing_file(file, snapshot_id, sequence, file_sequence).map_err(failed)?;
        }
        if has_entries {
            prepared.merged.push(writer.write_manifest_file().await.map_err(failed)?);
        }
        prepared.sources.extend(group.sources);
    }
    reach("merge-written");
    Ok((!prepared.sources.is_empty()).then_some(prepared))
}

struct Group {
    schema: SchemaRef,
    spec_id: i32,
    sources: Vec<String>,
    entries: Vec<Entry>,
}

/// A live file, with all that it would otherwise inherit from its manifest.
struct Entry {
    file: DataFile,
    snapshot_id: i64,
    sequence: i64,
    file_sequence: Option<i64>,
}

impl Group {
    fn of(schema: SchemaRef) -> Self {
        Self { schema, spec_id: 0, sources: Vec::new(), entries: Vec::new() }
    }

    /// Adds a manifest, or leaves it alone if an entry of it lacks what must be kept.
    fn add(&mut self, source: &ManifestFile, entries: &[iceberg::spec::ManifestEntryRef]) {
        let live = entries.iter().filter(|entry| entry.is_alive());
        let complete = live.map(|entry| {
            Some(Entry {
                snapshot_id: entry.snapshot_id()?,
                sequence: entry.sequence_number()?,
                file_sequence: Some(entry.file_sequence_number?),
                file: entry.data_file().clone(),
            })
        });
        if let Some(complete) = complete.collect::<Option<Vec<_>>>() {
            self.spec_id = source.partition_spec_id;
            self.sources.push(source.manifest_path.clone());
            self.entries.extend(complete);
        }
    }
}

/// Replaces the sources by the merged manifests, in a snapshot of its own.
pub(super) async fn commit(
    store: &Store,
    name: &TableName,
    table: &Table,
    prepared: Prepared,
) -> Result<Merged, Error> {
    let failed = |cause| name.failed("merging the manifests of", cause);
    let metadata = table.metadata();
    let Some(parent) = metadata.current_snapshot() else {
        discard(store, &prepared).await;
        return Ok(Merged::Outdated);
    };
    let list = table.manifest_list_reader(parent).load().await.map_err(failed)?;
    let is_source = |it: &&ManifestFile| prepared.sources.contains(&it.manifest_path);
    let n_found = list.entries().iter().filter(is_source).count();
    if n_found != prepared.sources.len() || metadata.snapshot_by_id(prepared.snapshot_id).is_some()
    {
        discard(store, &prepared).await;
        return Ok(Merged::Outdated);
    }
    let path = format!(
        "{}/metadata/snap-{}-0-{}.avro",
        location(table),
        prepared.snapshot_id,
        Uuid::now_v7()
    );
    let sequence = metadata.next_sequence_number();
    let writer = store.file_io.new_output(&path).map_err(failed)?.writer().await.map_err(failed)?;
    let parent_id = Some(parent.snapshot_id());
    let mut writer = ManifestListWriter::v2(writer, prepared.snapshot_id, parent_id, sequence);
    writer.add_manifests(replaced(list.entries(), &prepared).into_iter()).map_err(failed)?;
    writer.close().await.map_err(failed)?;
    let snapshot = Snapshot::builder()
        .with_manifest_list(path.clone())
        .with_snapshot_id(prepared.snapshot_id)
        .with_parent_snapshot_id(parent_id)
        .with_sequence_number(sequence)
        .with_summary(summary(parent, &prepared, list.entries().len()))
        .with_schema_id(metadata.current_schema_id())
        .with_timestamp_ms(now_ms().max(metadata.last_updated_ms()))
        .build();
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(prepared.snapshot_id, retention);
    let updates = vec![
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
    ];
    match swap(store, name, table, updates).await? {
        Swapped::Done(table) => {
            reach("merge-committed");
            Ok(Merged::Done(table))
        }
        Swapped::Conflict => {
            remove(store, &path).await;
            Ok(Merged::Conflict(prepared))
        }
    }
}

/// The list with the merged manifests in the place of the first source: the order of time stays.
fn replaced(list: &[ManifestFile], prepared: &Prepared) -> Vec<ManifestFile> {
    let mut merged = Some(&prepared.merged);
    let mut replaced = Vec::with_capacity(list.len());
    for manifest in list {
        if !prepared.sources.contains(&manifest.manifest_path) {
            replaced.push(manifest.clone());
        } else if let Some(merged) = merged.take() {
            replaced.extend(merged.iter().cloned());
        }
    }
    replaced
}

/// The totals are those of the parent: no row is added or removed.
fn summary(parent: &Snapshot, prepared: &Prepared, n_before: usize) -> Summary {
    let before = parent.summary().additional_properties.iter();
    let totals = before.filter(|(key, _)| key.starts_with("total-"));
    let mut properties: HashMap<_, _> =
        totals.map(|(key, value)| (key.clone(), value.clone())).collect();
    let counts = [
        ("manifests-created", prepared.merged.len()),
        ("manifests-replaced", prepared.sources.len()),
        ("manifests-kept", n_before - prepared.sources.len()),
        ("entries-processed", prepared.n_entries),
    ];
    properties.extend(counts.map(|(key, count)| (key.to_owned(), count.to_string())));
    properties.insert(SUMMARY_UPKEEP.to_owned(), "merge-manifests".to_owned());
    Summary { operation: Operation::Replace, additional_properties: properties }
}

/// Removes what was written for a merge that will not be made.
pub(super) async fn discard(store: &Store, prepared: &Prepared) {
    for manifest in &prepared.merged {
        remove(store, &manifest.manifest_path).await;
    }
}

async fn remove(store: &Store, location: &str) {
    if let Err(error) = store.file_io.delete(location).await {
        tracing::debug!(location, %error, "could not remove a file that was not needed");
    }
}

fn location(table: &Table) -> &str {
    table.metadata().location().trim_end_matches('/')
}

fn new_snapshot_id(table: &Table) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = i64::try_from((high ^ low) >> 1).unwrap_or_default();
        if id > 0 && table.metadata().snapshot_by_id(id).is_none() {
            return id;
        }
    }
}
