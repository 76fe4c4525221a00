//! Keeps a table small for ever: expires snapshots, merges manifests, removes what the table no longer names.
//!
//! The committing code never removes anything. What it stops naming is found here from what the table names: at each
//! pass, everything named at the last one and not named now is garbage, and is removed by its age. Nothing lists a
//! folder, and nothing is removed by a count. A failure is logged and tried again later: it never ends a run.

mod settings;

mod object;
mod retention;

mod garbage;
pub(crate) mod history;
mod named;

mod merge;
mod pass;
mod removal;

mod operations;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use iceberg::table::Table;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::clock::now_ms;
use crate::table::names::TableName;
use crate::upkeep::garbage::{Head, commits_since, since_pass};
use crate::upkeep::merge::{MergeSettings, Merged, Prepared};
use crate::upkeep::named::Lists;
use crate::upkeep::object::GARBAGE_PROPERTY;
use crate::upkeep::pass::Pass;
use crate::upkeep::removal::{Mode, Progress, Removed};
use crate::upkeep::settings::{EXPIRE, MERGE, REMOVE, is_gc_disabled};

pub use garbage::GarbageKind;
pub use operations::{
    ExpirePlan, GarbagePlan, MergePlan, SnapshotLine, plan_expire, plan_garbage, plan_merge,
    run_expire, run_garbage, run_merge,
};
pub(crate) use operations::{objects, waiting_garbage};
pub use settings::UpkeepSettings;

/// Commits between two passes, and between two looks at the number of manifests. The table remembers its last 100
/// metadata files: half of that leaves room for a pass that is late.
const PASS_EVERY: usize = 50;
/// A pass or a merge this late no longer waits for the budget.
const PASS_LATE: usize = 80;
/// What a step took is rested for this many times: merges take at most a tenth of the time, and all else another.
const REST: u32 = 9;
/// Held by a merge: it has all entries of its manifests in memory, and a process tends several tables.
static MERGING: Mutex<()> = Mutex::const_new(());
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// Manifest lists that a pass may read by itself. More are read in the background before.
const UNREAD_MAX: usize = 8;

/// The upkeep of one table.
#[derive(Debug)]
pub struct Upkeep {
    settings: UpkeepSettings,
    /// The garbage list, and the property that it was read from.
    head: Option<(Option<String>, Head)>,
    lists: Lists,
    progress: Progress,
    /// The metadata in which manifests were counted last, ...
    counted_at: Option<String>,
    /// ... and whether there was something to merge.
    has_merge: bool,
    prepared: Option<Prepared>,
    job: Option<Job>,
    rest: Rest,
    /// Merges have their own: removals, of which there are always some where commits are many, do not put them off.
    merge_rest: Rest,
    /// Failures that were logged, by their code and what failed.
    warned: HashSet<(&'static str, &'static str)>,
}

/// Work that goes on beside commits. Its result is taken by a later step.
#[derive(Debug)]
enum Job {
    Read(JoinHandle<(Lists, Duration)>),
    Merge(JoinHandle<(Result<Option<Prepared>, Error>, Duration)>),
    Remove(JoinHandle<(Removed, Duration)>),
}

impl Job {
    fn is_finished(&self) -> bool {
        match self {
            Self::Read(task) => task.is_finished(),
            Self::Merge(task) => task.is_finished(),
            Self::Remove(task) => task.is_finished(),
        }
    }
}

impl Upkeep {
    pub fn new(settings: UpkeepSettings) -> Self {
        Self {
            settings,
            head: None,
            lists: Lists::default(),
            progress: Progress::default(),
            counted_at: None,
            has_merge: false,
            prepared: None,
            job: None,
            rest: Rest::default(),
            merge_rest: Rest::default(),
            warned: HashSet::new(),
        }
    }

    /// Does what is due, if the budget allows it: most calls do nothing. Returns the newer table if it committed. An
    /// error means that this process must stop; whatever else fails is logged, and tried again later.
    pub(crate) async fn step(
        &mut self,
        store: &Store,
        name: &TableName,
        table: &Table,
    ) -> Result<Option<Table>, Error> {
        let begun = Instant::now();
        let (operation, outcome) = self.next(store, name, table).await;
        match outcome {
            Ok(outcome) => {
                if outcome.is_some() {
                    self.warned.retain(|(_, of)| *of != operation);
                }
                self.rest_of(operation).after(begun.elapsed());
                Ok(outcome)
            }
            Err(error) if must_stop(&error) => Err(error),
            Err(error) => {
                self.warn(name, operation, &error);
                Ok(None)
            }
        }
    }

    /// As [`Upkeep::step`], on the table as the catalog has it. Returns whether it committed.
    pub async fn tend(&mut self, store: &Store, name: &TableName) -> Result<bool, Error> {
        let table = store.load(name).await?;
        Ok(self.step(store, name, &table).await?.is_some())
    }

    /// Whether work goes on beside commits.
    pub fn is_busy(&self) -> bool {
        self.job.is_some() || self.prepared.is_some()
    }

    /// Whether a pass, or the removal of what earlier ones found, may take its time now.
    fn may_pass(&self, table: &Table) -> bool {
        let late = late_after(table);
        let is_late = || {
            self.head.as_ref().is_some_and(|(_, head)| since_pass(table, head) > late)
                && !self.has_warned(EXPIRE)
        };
        self.rest.is_over() || is_late()
    }

    /// Whether a merge may take its time now. Each commit reads and writes the list of all manifests: where commits
    /// come faster than a tenth of the time can follow, to wait would cost more than it saves.
    fn may_merge(&self, table: &Table) -> bool {
        let late = late_after(table);
        let is_late = || {
            self.counted_at.as_ref().is_some_and(|at| commits_since(table, at) >= late)
                && !self.has_warned(MERGE)
        };
        self.merge_rest.is_over() || is_late()
    }

    fn has_warned(&self, operation: &str) -> bool {
        self.warned.iter().any(|(_, of)| *of == operation)
    }

    fn rest_of(&mut self, operation: &str) -> &mut Rest {
        if operation == MERGE { &mut self.merge_rest } else { &mut self.rest }
    }

    fn warn(&mut self, name: &TableName, operation: &'static str, error: &Error) {
        self.rest_of(operation).until(Instant::now() + PAUSE);
        if self.warned.insert((error.code(), operation)) {
            let (code, error) = (error.code(), audit_core::text::one_line(error));
            tracing::warn!(table = %name, operation, error, code, "upkeep failed; it is tried again");
        }
    }

    /// One thing, the most urgent first.
    async fn next(
        &mut self,
        store: &Store,
        name: &TableName,
        table: &Table,
    ) -> (&'static str, Result<Option<Table>, Error>) {
        if let Err((operation, error)) = self.take_result(name).await {
            return (operation, Err(error));
        }
        if let Some(prepared) = self.prepared.take() {
            return (MERGE, self.commit_merge(store, name, table, prepared).await);
        }
        let may_pass = self.may_pass(table) && !is_gc_disabled(table);
        if may_pass {
            match self.expire(store, name, table).await {
                Ok(None) => {}
                done => return (EXPIRE, done),
            }
        }
        if self.may_merge(table) {
            match self.start_merge(store, name, table).await {
                Ok(false) => {}
                done => return (MERGE, done.map(|_| None)),
            }
        }
        if may_pass {
            self.start_removal(store, table);
        }
        (REMOVE, Ok(None))
    }

    /// Takes the result of work that went on beside commits.
    async fn take_result(&mut self, name: &TableName) -> Result<(), (&'static str, Error)> {
        if !self.job.as_ref().is_some_and(Job::is_finished) {
            return Ok(());
        }
        // A job that panicked has a bug; it is as if it had not been started.
        match self.job.take() {
            Some(Job::Read(task)) => {
                let Ok((lists, spent)) = task.await else { return Ok(()) };
                self.lists.add(lists);
                self.rest.after(spent);
            }
            Some(Job::Merge(task)) => {
                let Ok((prepared, spent)) = task.await else { return Ok(()) };
                self.merge_rest.after(spent);
                self.prepared = prepared.map_err(|error| (MERGE, error))?;
            }
            Some(Job::Remove(task)) => {
                let Ok((removed, spent)) = task.await else { return Ok(()) };
                self.rest.after(spent);
                self.progress.add(&removed, now_ms());
                let n_files: usize = removed.by_kind.values().sum();
                if n_files > 0 {
                    tracing::debug!(table = %name, n_files, "removed files that nothing names");
                }
                self.lists.add(removed.lists);
                if let Some(error) = removed.error {
                    return Err((REMOVE, error));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The garbage list of the table, read again only when its property has changed.
    async fn load_head(&mut self, store: &Store, table: &Table) -> Result<(), Error> {
        let property = table.metadata().properties().get(GARBAGE_PROPERTY).cloned();
        if self.head.as_ref().is_none_or(|(of, _)| *of != property) {
            let head = Head::read(store, table).await?;
            self.progress.retain(&head);
            self.head = Some((property, head));
        }
        Ok(())
    }

    /// A pass, when enough commits were made since the last.
    async fn expire(
        &mut self,
        store: &Store,
        name: &TableName,
        table: &Table,
    ) -> Result<Option<Table>, Error> {
        self.load_head(store, table).await?;
        let Some((_, head)) = &self.head else { return Ok(None) };
        let since = since_pass(table, head);
        if since < pass_every(table) {
            return Ok(None);
        }
        self.lists.retain(table);
        if self.lists.n_unread(table) > UNREAD_MAX && since < late_after(table) {
            self.start_reading(table);
            return Ok(None);
        }
        let pass = Pass { store, name, table, head, now_ms: now_ms() };
        let done = self.progress.finished.clone();
        let plan = pass.plan(&self.settings, &mut self.lists, done).await?;
        let (n_snapshots, n_files) = (plan.expired.len(), plan.garbage.len());
        let Some((table, head)) = pass.run(plan).await? else { return Ok(None) };
        tracing::debug!(table = %name, n_snapshots, n_files, "expired snapshots");
        self.progress.retain(&head);
        let property = table.metadata().properties().get(GARBAGE_PROPERTY).cloned();
        self.head = Some((property, head));
        Ok(Some(table))
    }

    fn start_reading(&mut self, table: &Table) {
        if self.job.is_some() {
            return;
        }
        let (table, begun) = (table.clone(), Instant::now());
        self.job = Some(Job::Read(tokio::spawn(async move {
            let mut lists = Lists::default();
            let snapshots: Vec<_> = table.metadata().snapshots().collect();
            // What cannot be read is tried again when it is needed.
            let _ = lists.live(&table, &snapshots).await;
            (lists, begun.elapsed())
        })));
    }

    fn start_removal(&mut self, store: &Store, table: &Table) {
        let Some((_, head)) = &self.head else { return };
        if self.job.is_some() {
            return;
        }
        let segments = self.progress.due(head, &self.settings, now_ms());
        if segments.is_empty() {
            return;
        }
        let (store, table, begun) = (store.clone(), table.clone(), Instant::now());
        let lists = std::mem::take(&mut self.lists);
        self.job = Some(Job::Remove(tokio::spawn(async move {
            let removed = removal::remove(&store, &table, &segments, lists, Mode::Remove).await;
            (removed, begun.elapsed())
        })));
    }

    /// Counts the manifests from time to time, and begins to merge them beside commits. Returns whether it looked.
    async fn start_merge(
        &mut self,
        store: &Store,
        name: &TableName,
        table: &Table,
    ) -> Result<bool, Error> {
        let settings = MergeSettings::of(table);
        let is_counted = |at: &String| commits_since(table, at) < pass_every(table);
        if self.job.is_some()
            || !settings.is_enabled
            || !self.has_merge && self.counted_at.as_ref().is_some_and(is_counted)
        {
            return Ok(false);
        }
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(false) };
        let list = table.manifest_list_reader(snapshot).load().await;
        let list = list.map_err(|cause| name.failed("merging the manifests of", cause))?;
        let sources = merge::plan(list.entries(), settings);
        self.counted_at = table.metadata_location().map(str::to_owned);
        self.has_merge = !sources.is_empty();
        if !self.has_merge {
            return Ok(true);
        }
        let (store, name, table) = (store.clone(), name.clone(), table.clone());
        self.job = Some(Job::Merge(tokio::spawn(async move {
            let _one_at_a_time = MERGING.lock().await;
            let begun = Instant::now();
            let prepared = merge::prepare(&store, &name, &table, sources).await;
            (prepared, begun.elapsed())
        })));
        Ok(true)
    }

    async fn commit_merge(
        &mut self,
        store: &Store,
        name: &TableName,
        table: &Table,
        prepared: Prepared,
    ) -> Result<Option<Table>, Error> {
        match merge::commit(store, name, table, prepared).await? {
            Merged::Done(table) => {
                tracing::debug!(table = %name, "merged manifests");
                Ok(Some(table))
            }
            Merged::Conflict(prepared) => {
                self.prepared = Some(prepared);
                Ok(None)
            }
            Merged::Outdated => Ok(None),
        }
    }
}

/// Until when one kind of work waits, so that it takes at most its share of the time.
#[derive(Debug, Default)]
struct Rest(Option<Instant>);

impl Rest {
    fn is_over(&self) -> bool {
        self.0.is_none_or(|until| until <= Instant::now())
    }

    fn until(&mut self, until: Instant) {
        self.0 = Some(self.0.map_or(until, |before| before.max(until)));
    }

    fn after(&mut self, spent: Duration) {
        self.until(Instant::now() + spent * REST);
    }
}

fn pass_every(table: &Table) -> usize {
    PASS_EVERY.min(log_max(table) / 2).max(1)
}

fn late_after(table: &Table) -> usize {
    PASS_LATE.min(log_max(table) * 3 / 4).max(1)
}

/// How many earlier versions of the metadata the table remembers.
fn log_max(table: &Table) -> usize {
    let value = table.metadata().properties().get("write.metadata.previous-versions-max");
    value.and_then(|value| value.parse().ok()).unwrap_or(100)
}

/// Whether an error is about this process and not about the upkeep.
fn must_stop(error: &Error) -> bool {
    matches!(error, Error::OtherCatalogFile { .. }) || error.kind() == audit_core::Kind::Fenced
}
