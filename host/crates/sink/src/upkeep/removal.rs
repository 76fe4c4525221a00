//! Removes the files of the garbage list that are due. Each is looked for once more in all that the table names:
//! another program may have brought a snapshot back.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use audit_core::fail_point::reach;
use futures::{StreamExt, stream};
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;

use crate::catalog::Store;
use crate::error::Error;
use crate::upkeep::garbage::{self, Garbage, GarbageKind, Head, Segment, SegmentRef};
use crate::upkeep::named::{self, Lists, Named};
use crate::upkeep::object::{self, Stored};
use crate::upkeep::settings::{UpkeepSettings, millis};

/// Files that one slice removes at most, unless one segment alone has more.
const FILES_MAX: usize = 4_000;
/// Removals at a time: an object store takes a while for each.
const CONCURRENT: usize = 8;

/// Files that were named when they were due are not looked at again before.
const LOOK_AGAIN_MS: i64 = 60_000;

/// What was learned about segments; lost at the end of the process, which costs a second look.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Segments of which nothing is left, or less: what is left is a segment of its own.
    pub(super) finished: HashMap<String, Option<SegmentRef>>,
    /// Segments with a file that was named when it was due, and when that was.
    named_at: HashMap<String, i64>,
}

impl Progress {
    pub(super) fn add(&mut self, removed: &Removed, now_ms: i64) {
        self.finished.extend(removed.finished.clone());
        let rests = removed.finished.values().flatten();
        self.named_at.extend(rests.map(|rest| (rest.location.clone(), now_ms)));
        self.named_at.extend(removed.waiting.iter().map(|location| (location.clone(), now_ms)));
    }

    /// Forgets segments that the list no longer has.
    pub(super) fn retain(&mut self, head: &Head) {
        let known: HashSet<&str> = head.segments.iter().map(|it| it.location.as_str()).collect();
        self.finished.retain(|location, _| known.contains(location.as_str()));
        self.named_at.retain(|location, _| known.contains(location.as_str()));
    }

    /// The segments that may be removed now, oldest first.
    pub(super) fn due(
        &self,
        head: &Head,
        settings: &UpkeepSettings,
        now_ms: i64,
    ) -> Vec<SegmentRef> {
        let mut n_files = 0;
        let is_due = |segment: &&SegmentRef| {
            let after = millis(settings.after(segment.is_data));
            let (since, after) = match self.named_at.get(&segment.location) {
                Some(named_at) => (*named_at, after.max(LOOK_AGAIN_MS)),
                None => (segment.since, after),
            };
            // A clock that was put back makes nothing due.
            since.checked_add(after).is_some_and(|due| due <= now_ms)
                && !self.finished.contains_key(&segment.location)
        };
        let fits = |segment: &&SegmentRef| {
            n_files += segment.files;
            n_files <= FILES_MAX || n_files == segment.files
        };
        head.segments.iter().filter(is_due).take_while(fits).cloned().collect()
    }
}

/// Whether files are removed, or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Look,
    Remove,
}

/// What a removal did.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) by_kind: HashMap<GarbageKind, usize>,
    pub(super) finished: HashMap<String, Option<SegmentRef>>,
    /// Segments all of whose files are named again.
    waiting: Vec<String>,
    /// Why something was left for later.
    pub(super) error: Option<Error>,
    pub(super) lists: Lists,
}

/// Removes the files of segments. What is named, or may be, stays.
pub(super) async fn remove(
    store: &Store,
    table: &Table,
    segments: &[SegmentRef],
    lists: Lists,
    mode: Mode,
) -> Removed {
    let mut removed = Removed { lists, ..Removed::default() };
    for segment in segments {
        match remove_segment(store, table, segment, &mut removed, mode).await {
            Ok(Left::Nothing) => {
                removed.finished.insert(segment.location.clone(), None);
            }
            Ok(Left::Some(rest)) => {
                removed.finished.insert(segment.location.clone(), Some(rest));
            }
            Ok(Left::All) => removed.waiting.push(segment.location.clone()),
            Err(error) => removed.error = Some(error),
        }
    }
    if mode == Mode::Remove && !segments.is_empty() {
        reach("garbage-removed");
    }
    removed
}

/// What is left of a segment.
enum Left {
    Nothing,
    Some(SegmentRef),
    All,
}

async fn remove_segment(
    store: &Store,
    table: &Table,
    segment: &SegmentRef,
    removed: &mut Removed,
    mode: Mode,
) -> Result<Left, Error> {
    let read = match object::get::<Segment>(store, &segment.pointer()).await? {
        Stored::Found(segment) => segment,
        Stored::Damaged(problem) => {
            let location = &segment.location;
            tracing::warn!(location, problem, "a part of the garbage list is lost");
            return Ok(Left::Nothing);
        }
    };
    let unnamed = unnamed(store, table, read.files.clone(), &mut removed.lists).await?;
    for file in &unnamed {
        *removed.by_kind.entry(file.kind).or_default() += 1;
    }
    if mode == Mode::Look || unnamed.is_empty() {
        return Ok(Left::All);
    }
    let deletions: Vec<_> = unnamed.iter().map(|file| delete(store, &file.location)).collect();
    let results: Vec<_> = stream::iter(deletions).buffer_unordered(CONCURRENT).collect().await;
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    let gone: HashSet<&Garbage> = unnamed.iter().collect();
    let rest: Vec<_> = read.files.iter().filter(|file| !gone.contains(file)).cloned().collect();
    if rest.is_empty() {
        return Ok(Left::Nothing);
    }
    Ok(Left::Some(garbage::write_rest(store, &read, segment.is_data, rest).await?))
}

/// One that is absent is fine: a process may have ended in the middle, or another one removes the same files.
async fn delete(store: &Store, location: &str) -> Result<(), Error> {
    match store.file_io.delete(location).await {
        Err(cause) if !matches!(store.file_io.exists(location).await, Ok(false)) => {
            Err(object::file_error("removing", location, cause))
        }
        _ => Ok(()),
    }
}

/// The files that the table certainly does not name.
async fn unnamed(
    store: &Store,
    table: &Table,
    mut files: Vec<Garbage>,
    lists: &mut Lists,
) -> Result<Vec<Garbage>, Error> {
    let named = Named::by(table);
    files.retain(|file| named::is_ours(store, table, &file.location) && !named.has(&file.location));
    let snapshots: Vec<&SnapshotRef> = table.metadata().snapshots().collect();
    // By location and not by kind: the kind is what the list says.
    let is_avro = |file: &Garbage| {
        Path::new(&file.location).extension().is_some_and(|extension| extension == "avro")
    };
    if files.iter().any(is_avro) {
        let live = lists.live(table, &snapshots).await;
        if let Some(cause) = live.unread {
            let location = table.metadata().location();
            return Err(object::file_error("reading the manifest lists below", location, cause));
        }
        files.retain(|file| !live.hashes.contains(&named::hash_of(&file.location)));
    }
    // What lies elsewhere than metadata is data, whatever the list says.
    let is_data = |file: &Garbage| {
        file.kind == GarbageKind::Data || !named::is_metadata(store, table, &file.location)
    };
    if files.iter().any(is_data) {
        let failed = |cause| {
            let location = table.metadata().location();
            object::file_error("reading the manifests below", location, cause)
        };
        let named = named_data_files(table, &snapshots, &files).await.map_err(failed)?;
        files.retain(|file| !named.contains(&file.location));
    }
    Ok(files)
}

/// Those of these data files that a snapshot names. Reads every manifest, which is long, and rare: only another
/// program takes files out of the table.
async fn named_data_files(
    table: &Table,
    snapshots: &[&SnapshotRef],
    files: &[Garbage],
) -> Result<HashSet<String>, iceberg::Error> {
    let wanted: HashSet<&str> = files.iter().map(|file| file.location.as_str()).collect();
    let mut named = HashSet::new();
    let mut seen = HashSet::new();
    for snapshot in named::ends(snapshots) {
        let list = table.manifest_list_reader(snapshot).load().await?;
        for manifest in list.entries() {
            if !seen.insert(manifest.manifest_path.clone()) {
                continue;
            }
            let manifest = manifest.load_manifest(table.file_io()).await?;
            let live = manifest.entries().iter().filter(|entry| entry.is_alive());
            let found = live.filter(|entry| wanted.contains(entry.file_path()));
            named.extend(found.map(|entry| entry.file_path().to_owned()));
            tokio::task::yield_now().await;
        }
    }
    Ok(named)
}
