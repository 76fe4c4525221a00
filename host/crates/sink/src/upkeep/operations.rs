//! The operations of the upkeep as a person asks for them: each can be looked at before it is done.

use std::collections::HashMap;

use iceberg::table::Table;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock::now_ms;
use crate::table::find;
use crate::table::names::TableName;
use crate::upkeep::garbage::{GarbageKind, Head, Segment, since_pass};
use crate::upkeep::history::History;
use crate::upkeep::merge::{self, MergeSettings, Merged};
use crate::upkeep::named::Lists;
use crate::upkeep::object::{self, Stored};
use crate::upkeep::pass::{Pass, Plan};
use crate::upkeep::removal::{self, Mode, Progress};
use crate::upkeep::retention;
use crate::upkeep::settings::{EXPIRE, MERGE, REMOVE, UpkeepSettings, is_gc_disabled, millis};

/// How often an operation is planned anew because somebody else committed.
const ATTEMPTS_MAX: u32 = 20;

/// A snapshot that is, or was, removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotLine {
    pub snapshot_id: i64,
    /// In milliseconds since 1970.
    pub committed_at_ms: i64,
    /// `append`, `replace`, `overwrite` or `delete`.
    pub operation: String,
}

/// What expiring does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpirePlan {
    /// Oldest first.
    pub snapshots: Vec<SnapshotLine>,
    pub n_kept: usize,
}

/// What removing garbage does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GarbagePlan {
    /// Files that are removed, by kind.
    pub removed: Vec<(GarbageKind, usize)>,
    /// Files that nothing names, and that are not due: on the list, or found now.
    pub n_waiting: usize,
    /// When the next of those on the list are due, in milliseconds since 1970.
    pub next_due_ms: Option<i64>,
}

/// What merging manifests does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergePlan {
    /// The manifests of the current snapshot.
    pub n_manifests: usize,
    /// Those that are merged, in the first commit or in all.
    pub n_merged: usize,
    pub merged_bytes: u64,
}

/// The snapshots that [`run_expire`] would remove.
pub async fn plan_expire(
    store: &Store,
    name: &TableName,
    settings: &UpkeepSettings,
) -> Result<ExpirePlan, Error> {
    let table = open(store, name, EXPIRE).await?;
    let metadata = table.metadata();
    let mut plan = ExpirePlan { n_kept: metadata.snapshots().len(), ..ExpirePlan::default() };
    let refs = retention::refs(metadata).map_err(|cause| name.failed("reading", cause))?;
    add_lines(&mut plan, &retention::expired(metadata, &refs, settings, now_ms()));
    Ok(plan)
}

fn add_lines(plan: &mut ExpirePlan, expired: &[iceberg::spec::SnapshotRef]) {
    plan.n_kept = plan.n_kept.saturating_sub(expired.len());
    plan.snapshots.extend(expired.iter().map(|snapshot| SnapshotLine {
        snapshot_id: snapshot.snapshot_id(),
        committed_at_ms: snapshot.timestamp_ms(),
        operation: snapshot.summary().operation.as_str().to_owned(),
    }));
}

/// Removes snapshots that need not be kept. What they held goes into the history.
pub async fn run_expire(
    store: &Store,
    name: &TableName,
    settings: &UpkeepSettings,
) -> Result<ExpirePlan, Error> {
    let mut done = ExpirePlan::default();
    let mut lists = Lists::default();
    let mut attempts = 0;
    loop {
        let table = open(store, name, EXPIRE).await?;
        done.n_kept = table.metadata().snapshots().len();
        let head = Head::read(store, &table).await?;
        let pass = Pass { store, name, table: &table, head: &head, now_ms: now_ms() };
        let plan = pass.plan(settings, &mut lists, HashMap::new()).await?;
        if plan.expired.is_empty() {
            return Ok(done);
        }
        let expired = plan.expired.clone();
        match pass.run(plan).await? {
            Some(_) => add_lines(&mut done, &expired),
            None => again(&mut attempts, name, EXPIRE)?,
        }
    }
}

/// The files that [`run_garbage`] would remove.
pub async fn plan_garbage(
    store: &Store,
    name: &TableName,
    settings: &UpkeepSettings,
) -> Result<GarbagePlan, Error> {
    let table = open(store, name, REMOVE).await?;
    let head = Head::read(store, &table).await?;
    let segments = Progress::default().due(&head, settings, now_ms());
    let removed = removal::remove(store, &table, &segments, Lists::default(), Mode::Look).await;
    if let Some(error) = removed.error {
        return Err(error);
    }
    let mut plan =
        GarbagePlan { removed: removed.by_kind.into_iter().collect(), ..waiting(&head, settings) };
    let due: usize = segments.iter().map(|segment| segment.files).sum();
    plan.n_waiting = plan.n_waiting.saturating_sub(due);
    let pass = Pass { store, name, table: &table, head: &head, now_ms: now_ms() };
    let found = pass.plan(&keeps_all(), &mut Lists::default(), HashMap::new()).await?;
    plan.n_waiting += found.garbage.len();
    plan.removed.sort();
    Ok(plan)
}

fn waiting(head: &Head, settings: &UpkeepSettings) -> GarbagePlan {
    let due_at = |segment: &crate::upkeep::garbage::SegmentRef| {
        segment.since.saturating_add(millis(settings.after(segment.is_data)))
    };
    GarbagePlan {
        removed: Vec::new(),
        n_waiting: head.segments.iter().map(|segment| segment.files).sum(),
        next_due_ms: head.segments.iter().map(due_at).filter(|at| *at > now_ms()).min(),
    }
}

/// What waits on the garbage list, without looking for more.
pub(crate) async fn waiting_garbage(
    store: &Store,
    table: &Table,
    settings: &UpkeepSettings,
) -> Result<GarbagePlan, Error> {
    Ok(waiting(&Head::read(store, table).await?, settings))
}

/// The objects of the upkeep that belong to the table, and those of ours that wait for their removal.
pub(crate) async fn objects(store: &Store, table: &Table) -> Result<Vec<String>, Error> {
    let head = Head::read(store, table).await?;
    let history = History::read(store, table).await?;
    let mut objects: Vec<_> = history.named().map(str::to_owned).collect();
    for segment in &head.segments {
        objects.push(segment.location.clone());
        if let Stored::Found(segment) = object::get::<Segment>(store, &segment.pointer()).await? {
            let waiting = segment.files.into_iter().filter(|it| it.kind == GarbageKind::Object);
            objects.extend(waiting.map(|file| file.location));
        }
    }
    Ok(objects)
}

/// To look for garbage without expiring a snapshot.
fn keeps_all() -> UpkeepSettings {
    UpkeepSettings { snapshots_min: usize::MAX, ..UpkeepSettings::default() }
}

/// Removes what is due, and adds to the list what the table has stopped naming since the last pass.
pub async fn run_garbage(
    store: &Store,
    name: &TableName,
    settings: &UpkeepSettings,
) -> Result<GarbagePlan, Error> {
    let mut lists = Lists::default();
    let mut progress = Progress::default();
    let mut removed = HashMap::<GarbageKind, usize>::new();
    let mut attempts = 0;
    loop {
        let table = open(store, name, REMOVE).await?;
        let head = Head::read(store, &table).await?;
        let segments = progress.due(&head, settings, now_ms());
        let slice =
            removal::remove(store, &table, &segments, std::mem::take(&mut lists), Mode::Remove)
                .await;
        progress.add(&slice, now_ms());
        for (kind, n_files) in &slice.by_kind {
            *removed.entry(*kind).or_default() += n_files;
        }
        lists = slice.lists;
        if let Some(error) = slice.error {
            return Err(error);
        }
        if !slice.finished.is_empty() && !progress.due(&head, settings, now_ms()).is_empty() {
            continue;
        }
        let pass = Pass { store, name, table: &table, head: &head, now_ms: now_ms() };
        let plan: Plan = pass.plan(&keeps_all(), &mut lists, progress.finished.clone()).await?;
        // Since the last pass nobody has committed: what its own commit displaced waits for the next.
        let is_settled = plan.has_done_nothing() && since_pass(&table, &head) == 0;
        let head = if plan.is_empty() || is_settled {
            head
        } else if let Some((_, head)) = pass.run(plan).await? {
            head
        } else {
            again(&mut attempts, name, REMOVE)?;
            continue;
        };
        let mut removed: Vec<_> = removed.into_iter().collect();
        removed.sort();
        return Ok(GarbagePlan { removed, ..waiting(&head, settings) });
    }
}

/// The manifests that [`run_merge`] would merge first.
pub async fn plan_merge(store: &Store, name: &TableName) -> Result<MergePlan, Error> {
    let table = store.load(name).await?;
    let (n_manifests, sources) = look_for_sources(name, &table).await?;
    Ok(MergePlan { n_manifests, ..merged(&sources) })
}

fn merged(sources: &[iceberg::spec::ManifestFile]) -> MergePlan {
    let bytes = sources.iter().map(|it| u64::try_from(it.manifest_length).unwrap_or(0));
    MergePlan { n_manifests: 0, n_merged: sources.len(), merged_bytes: bytes.sum() }
}

async fn look_for_sources(
    name: &TableName,
    table: &Table,
) -> Result<(usize, Vec<iceberg::spec::ManifestFile>), Error> {
    let settings = MergeSettings::of(table);
    if !settings.is_enabled {
        return Err(Error::MergeDisabled { table: name.to_string() });
    }
    let Some(snapshot) = table.metadata().current_snapshot() else { return Ok((0, Vec::new())) };
    let list = table.manifest_list_reader(snapshot).load().await;
    let list = list.map_err(|cause| name.failed("reading", cause))?;
    Ok((list.entries().len(), merge::plan(list.entries(), settings)))
}

/// Merges manifests until there is nothing to merge.
pub async fn run_merge(store: &Store, name: &TableName) -> Result<MergePlan, Error> {
    let mut done = MergePlan::default();
    let mut attempts = 0;
    loop {
        let table = find::load_newest(store, name).await?;
        let (n_manifests, sources) = look_for_sources(name, &table).await?;
        done.n_manifests = n_manifests;
        if sources.is_empty() {
            return Ok(done);
        }
        let slice = merged(&sources);
        let Some(prepared) = merge::prepare(store, name, &table, sources).await? else {
            return Ok(done);
        };
        match merge::commit(store, name, &table, prepared).await? {
            Merged::Done(_) => {
                done.n_merged += slice.n_merged;
                done.merged_bytes += slice.merged_bytes;
            }
            Merged::Conflict(prepared) => {
                merge::discard(store, &prepared).await;
                again(&mut attempts, name, MERGE)?;
            }
            Merged::Outdated => again(&mut attempts, name, MERGE)?,
        }
    }
}

/// The table, if anything of it may be removed.
async fn open(store: &Store, name: &TableName, operation: &'static str) -> Result<Table, Error> {
    let table = find::load_newest(store, name).await?;
    if is_gc_disabled(&table) {
        return Err(Error::GcDisabled { table: name.to_string(), operation });
    }
    Ok(table)
}

/// Counts a conflict; too many are an error.
fn again(attempts: &mut u32, name: &TableName, operation: &'static str) -> Result<(), Error> {
    *attempts += 1;
    if *attempts < ATTEMPTS_MAX {
        return Ok(());
    }
    Err(Error::Outpaced { table: name.to_string(), operation, attempts: *attempts })
}
