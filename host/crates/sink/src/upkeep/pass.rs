//! One pass over the table: which snapshots expire, what goes into the history, what has become garbage. One commit
//! makes all of it true at once.

use std::collections::{HashMap, HashSet};

use audit_core::fail_point::reach;
use iceberg::TableUpdate;
use iceberg::spec::{ManifestFile, ManifestStatus, SnapshotRef};
use iceberg::table::Table;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock;
use crate::table::names::TableName;
use crate::table::outbox::Pointer;
use crate::table::swap::{Swapped, swap};
use crate::upkeep::garbage::{self, Garbage, GarbageKind, Head, KnownSnapshot, SegmentRef};
use crate::upkeep::history::History;
use crate::upkeep::named::{self, Lists, Named};
use crate::upkeep::object::{self, GARBAGE_PROPERTY, HISTORY_PROPERTY};
use crate::upkeep::retention;
use crate::upkeep::settings::UpkeepSettings;

/// What a pass would do.
pub(super) struct Plan {
    pub(super) expired: Vec<SnapshotRef>,
    /// Files that nothing names any more, without those that the pass itself replaces.
    pub(super) garbage: Vec<Garbage>,
    /// Segments whose files are removed, each with what is left of it.
    done: HashMap<String, Option<SegmentRef>>,
    /// The snapshots that go into the history, oldest first.
    recorded: Vec<SnapshotRef>,
    objects: Vec<String>,
}

impl Plan {
    /// Whether no segment of the list is finished.
    pub(super) fn has_done_nothing(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether there is anything to do beside renewing the list.
    pub(super) fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.garbage.is_empty() && self.done.is_empty()
    }
}

/// What the pass works on.
pub(super) struct Pass<'a> {
    pub(super) store: &'a Store,
    pub(super) name: &'a TableName,
    pub(super) table: &'a Table,
    pub(super) head: &'a Head,
    pub(super) now_ms: i64,
}

impl Pass<'_> {
    fn failed(&self, cause: iceberg::Error) -> Error {
        self.name.failed("looking for garbage of", cause)
    }

    /// Looks for what may go. Nothing is changed. `done` are segments whose files are removed, by location.
    pub(super) async fn plan(
        &self,
        settings: &UpkeepSettings,
        lists: &mut Lists,
        done: HashMap<String, Option<SegmentRef>>,
    ) -> Result<Plan, Error> {
        let metadata = self.table.metadata();
        let refs = retention::refs(metadata).map_err(|cause| self.failed(cause))?;
        let expired = retention::expired(metadata, &refs, settings, self.now_ms);
        let named = Named::by(self.table);
        let properties = named::objects_in_properties(self.store, self.table);
        let mut garbage: HashSet<Garbage> = HashSet::new();
        let kind = GarbageKind::Metadata;
        let before = self.head.metadata.iter().filter(|location| !named.has(location));
        garbage.extend(before.map(|location| Garbage { location: location.clone(), kind }));
        let kind = GarbageKind::Object;
        let known = self.head.objects.iter().cloned().chain(self.objects_in_new_summaries());
        let unnamed = known.filter(|location| !named.has(location));
        garbage.extend(unnamed.map(|location| Garbage { location, kind }));
        self.add_of_snapshots(&expired, lists, &mut garbage).await?;
        garbage.retain(|file| named::is_ours(self.store, self.table, &file.location));
        let mut garbage: Vec<_> = garbage.into_iter().collect();
        garbage.sort();
        let through = expired.iter().map(|snapshot| snapshot.sequence_number()).max();
        let through = through.unwrap_or(i64::MIN);
        let gone = metadata.snapshots().filter(|it| it.sequence_number() <= through);
        let mut recorded: Vec<_> = gone.cloned().collect();
        recorded.sort_by_key(|snapshot| snapshot.sequence_number());
        let objects = properties.into_iter().collect();
        Ok(Plan { expired, garbage, done, recorded, objects })
    }

    fn objects_in_new_summaries(&self) -> Vec<String> {
        let snapshots = self.table.metadata().snapshots();
        let new = snapshots.filter(|it| it.sequence_number() > self.head.sequence);
        new.flat_map(|snapshot| named::objects_in_summary(self.store, snapshot)).collect()
    }

    /// Adds the manifest lists of snapshots that go, or that another program has expired, and what only they named.
    async fn add_of_snapshots(
        &self,
        expired: &[SnapshotRef],
        lists: &mut Lists,
        garbage: &mut HashSet<Garbage>,
    ) -> Result<(), Error> {
        let metadata = self.table.metadata();
        let covered = named::covered(metadata.snapshots());
        let ids: HashSet<i64> = expired.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let retained: Vec<_> =
            metadata.snapshots().filter(|it| !ids.contains(&it.snapshot_id())).collect();
        let named_lists: HashSet<&str> = retained.iter().map(|it| it.manifest_list()).collect();
        let known = self.head.snapshots.iter();
        let vanished = known.filter(|known| metadata.snapshot_by_id(known.id).is_none());
        let vanished = vanished.map(|known| (known.id, known.list.as_str(), known.covered));
        let going = expired.iter().map(|it| {
            let id = it.snapshot_id();
            (id, it.manifest_list(), covered.contains(&id))
        });
        let mut ends = Vec::new();
        for (id, list, is_covered) in going.chain(vanished) {
            if named_lists.contains(list) {
                continue;
            }
            let (location, kind) = (list.to_owned(), GarbageKind::ManifestList);
            garbage.insert(Garbage { location, kind });
            if !is_covered {
                ends.push((id, list));
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        let live = lists.live(self.table, &retained).await.hashes;
        for (id, list) in ends {
            self.add_unnamed_manifests(id, list, &live, garbage).await?;
        }
        Ok(())
    }

    async fn add_unnamed_manifests(
        &self,
        snapshot_id: i64,
        list: &str,
        live: &HashSet<u64>,
        garbage: &mut HashSet<Garbage>,
    ) -> Result<(), Error> {
        if !named::is_ours(self.store, self.table, list) {
            return Ok(());
        }
        let manifests = match named::manifests_in(self.table, list).await {
            Ok(Some(manifests)) => manifests,
            // Whoever expired the snapshot removed its files too.
            Ok(None) => return Ok(()),
            Err(cause) => return Err(self.failed(cause)),
        };
        for manifest in manifests {
            if manifest.added_snapshot_id == snapshot_id && manifest.deleted_files_count != Some(0)
            {
                self.add_deleted_files(&manifest, garbage).await?;
            }
            if !live.contains(&named::hash_of(&manifest.manifest_path)) {
                let (location, kind) = (manifest.manifest_path, GarbageKind::Manifest);
                garbage.insert(Garbage { location, kind });
            }
        }
        Ok(())
    }

    /// Adds the data files that another program took out of the table. Whether an older snapshot still names them is
    /// looked at before they are removed.
    async fn add_deleted_files(
        &self,
        manifest: &ManifestFile,
        garbage: &mut HashSet<Garbage>,
    ) -> Result<(), Error> {
        let file_io = self.table.file_io();
        let failed = |cause| self.failed(cause);
        if !file_io.exists(&manifest.manifest_path).await.map_err(failed)? {
            return Ok(());
        }
        let manifest = manifest.load_manifest(file_io).await.map_err(failed)?;
        let deleted = manifest.entries().iter().filter(|it| it.status() == ManifestStatus::Deleted);
        let file =
            |location: &str| Garbage { location: location.to_owned(), kind: GarbageKind::Data };
        garbage.extend(deleted.map(|entry| file(entry.file_path())));
        Ok(())
    }

    /// Makes a plan true: history, garbage list and removal of snapshots in one commit. `None` if somebody else
    /// committed meanwhile: nothing happened.
    pub(super) async fn run(&self, plan: Plan) -> Result<Option<(Table, Head)>, Error> {
        let mut written = Vec::new();
        match self.write_and_commit(plan, &mut written).await {
            Ok(Some(done)) => Ok(Some(done)),
            Ok(None) => {
                object::discard(self.store, &written).await;
                Ok(None)
            }
            // The outcome may be unknown: what was written may be named.
            Err(error) => Err(error),
        }
    }

    async fn write_and_commit(
        &self,
        plan: Plan,
        written: &mut Vec<Pointer>,
    ) -> Result<Option<(Table, Head)>, Error> {
        reach("expire-planned");
        let mut properties = HashMap::new();
        let mut replaced = Vec::new();
        let mut history = History::read(self.store, self.table).await?;
        if plan.recorded.iter().any(|it| it.sequence_number() > history.through()) {
            history.record(&plan.recorded);
            let pointers = history.write(self.store, self.table, self.now_ms).await?;
            properties.extend(property(HISTORY_PROPERTY, pointers.last()));
            written.extend(pointers);
            replaced.extend(self.current(HISTORY_PROPERTY));
            reach("history-written");
        }
        let mut files = plan.garbage;
        replaced.extend(self.current(GARBAGE_PROPERTY));
        replaced.extend(plan.done.keys().cloned());
        let kind = GarbageKind::Object;
        files.extend(replaced.into_iter().map(|location| Garbage { location, kind }));
        files.retain(|file| named::is_ours(self.store, self.table, &file.location));
        let segments = garbage::write_segments(self.store, self.table, files, self.now_ms).await?;
        written.extend(segments.iter().map(SegmentRef::pointer));
        let ids: Vec<i64> = plan.expired.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let mut head = self.next_head(&ids, plan.objects, &plan.done, segments);
        let pointer = head.write(self.store, self.table, self.now_ms).await?;
        properties.extend(property(GARBAGE_PROPERTY, Some(&pointer)));
        written.push(pointer);
        reach("garbage-written");
        let mut updates = vec![TableUpdate::SetProperties { updates: properties }];
        if !ids.is_empty() {
            updates.push(TableUpdate::RemoveSnapshots { snapshot_ids: ids });
        }
        clock::wait_for(self.name, self.table).await?;
        match swap(self.store, self.name, self.table, updates).await? {
            Swapped::Done(table) => {
                reach("expire-committed");
                Ok(Some((table, head)))
            }
            Swapped::Conflict => Ok(None),
        }
    }

    /// The object that a property points at: it is garbage once the property points at another.
    fn current(&self, property: &str) -> Option<String> {
        let pointer = object::pointer_in(self.table, property).ok()??;
        Some(pointer.location)
    }

    fn next_head(
        &self,
        expired: &[i64],
        mut objects: Vec<String>,
        done: &HashMap<String, Option<SegmentRef>>,
        new: Vec<SegmentRef>,
    ) -> Head {
        let metadata = self.table.metadata();
        let kept = metadata.snapshots().filter(|it| !expired.contains(&it.snapshot_id()));
        let kept: Vec<_> = kept.collect();
        let covered = named::covered(kept.iter().copied());
        let snapshots = kept.iter().map(|it| KnownSnapshot {
            id: it.snapshot_id(),
            list: it.manifest_list().to_owned(),
            covered: covered.contains(&it.snapshot_id()),
        });
        let log = metadata.metadata_log().iter().map(|entry| entry.metadata_file.clone());
        let base = self.table.metadata_location().unwrap_or_default().to_owned();
        let rest_of = |segment: &SegmentRef| match done.get(&segment.location) {
            Some(rest) => rest.clone(),
            None => Some(segment.clone()),
        };
        let waiting = self.head.segments.iter().filter_map(rest_of);
        // Those of the upkeep itself are accounted for when they are replaced.
        let own = [HISTORY_PROPERTY, GARBAGE_PROPERTY].map(|property| self.current(property));
        objects.retain(|location| !own.contains(&Some(location.clone())));
        objects.sort();
        Head {
            base: base.clone(),
            sequence: metadata.last_sequence_number(),
            metadata: log.chain([base]).collect(),
            snapshots: snapshots.collect(),
            objects,
            segments: waiting.chain(new).collect(),
            ..Head::default()
        }
    }
}

fn property(name: &str, pointer: Option<&Pointer>) -> Option<(String, String)> {
    Some((name.to_owned(), pointer?.to_json()))
}
