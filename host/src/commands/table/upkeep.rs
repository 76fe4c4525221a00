//! The upkeep of a table by hand: what a running host does in quiet times, for the table and its dead letters.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use audit_sink::{ExpirePlan, GarbagePlan, MergePlan, Store, TableName, UpkeepSettings};
use serde_json::{Value, json};

use crate::cli::ChangeArgs;
use crate::commands::columns::{columns, count, size, time_of_ms};
use crate::config;
use crate::stdout::print;

/// The tables that a command works on, and how.
struct Task {
    store: Store,
    names: Vec<TableName>,
    settings: UpkeepSettings,
    is_dry_run: bool,
    is_json: bool,
}

/// What was, or would be, done to one table, for people and for programs.
struct Done {
    text: String,
    json: Value,
}

impl Task {
    async fn new(args: ChangeArgs, attempted: &'static str) -> Result<Self> {
        let ChangeArgs { read, dry_run } = args;
        let place = config::resolve_table(read.table)?;
        let store = Store::open_existing(&place.catalog).await.context(attempted)?;
        let names = audit_sink::admin::tables(&store, &place.name).await.context(attempted)?;
        let settings = place.upkeep;
        Ok(Self { store, names, settings, is_dry_run: dry_run, is_json: read.json })
    }

    /// One table at a time: what is done is said, also if the next one fails.
    fn say(&self, name: &TableName, done: Done) -> Result<()> {
        if !self.is_json {
            return print(&format!("{name}: {}\n", done.text));
        }
        let mut line = done.json;
        line["table"] = json!(name.to_string());
        line["dry_run"] = json!(self.is_dry_run);
        print(&format!("{line}\n"))
    }
}

pub(super) async fn expire(args: ChangeArgs) -> Result<()> {
    const EXPIRING: &str = "expiring snapshots";
    let task = Task::new(args, EXPIRING).await?;
    for name in &task.names {
        let plan = if task.is_dry_run {
            audit_sink::plan_expire(&task.store, name, &task.settings).await
        } else {
            audit_sink::run_expire(&task.store, name, &task.settings).await
        };
        task.say(name, expired(&plan.context(EXPIRING)?, task.is_dry_run))?;
    }
    Ok(())
}

fn expired(plan: &ExpirePlan, is_dry_run: bool) -> Done {
    let (n_removed, n_kept) = (n(plan.snapshots.len()), n(plan.n_kept));
    let mut text = match (n_removed, is_dry_run) {
        (0, _) => format!("nothing to do: {} kept", count(n_kept, "snapshot")),
        (_, true) => format!("would remove {}, {n_kept} kept", count(n_removed, "snapshot")),
        (_, false) => format!("removed {}, {n_kept} kept", count(n_removed, "snapshot")),
    };
    let rows = plan.snapshots.iter().map(|snapshot| {
        let time = time_of_ms(snapshot.committed_at_ms);
        vec![format!("  {time}"), snapshot.snapshot_id.to_string(), snapshot.operation.clone()]
    });
    let rows: Vec<_> = rows.collect();
    let _ = write!(text, "\n{}", columns(&rows));
    let snapshots = plan.snapshots.iter().map(|snapshot| {
        json!({
            "id": snapshot.snapshot_id,
            "time": time_of_ms(snapshot.committed_at_ms),
            "operation": snapshot.operation,
        })
    });
    let json = json!({ "removed": snapshots.collect::<Vec<_>>(), "kept": n_kept });
    Done { text: text.trim_end().to_owned(), json }
}

pub(super) async fn merge_manifests(args: ChangeArgs) -> Result<()> {
    const MERGING: &str = "merging manifests";
    let task = Task::new(args, MERGING).await?;
    for name in &task.names {
        let plan = if task.is_dry_run {
            audit_sink::plan_merge(&task.store, name).await
        } else {
            audit_sink::run_merge(&task.store, name).await
        };
        task.say(name, merged(&plan.context(MERGING)?, task.is_dry_run))?;
    }
    Ok(())
}

fn merged(plan: &MergePlan, is_dry_run: bool) -> Done {
    let (n_merged, bytes) = (n(plan.n_merged), size(plan.merged_bytes));
    let manifests = count(n(plan.n_manifests), "manifest");
    let text = match (n_merged, is_dry_run) {
        (0, _) => format!("nothing to do: {manifests}"),
        (_, true) => format!("would merge {n_merged} of {manifests}, {bytes}"),
        (_, false) => format!("merged {n_merged}, {bytes}; {manifests} now"),
    };
    let json = json!({
        "merged": n_merged,
        "merged_bytes": plan.merged_bytes,
        "manifests": plan.n_manifests,
    });
    Done { text, json }
}

pub(super) async fn garbage(args: ChangeArgs) -> Result<()> {
    const REMOVING: &str = "removing garbage";
    let task = Task::new(args, REMOVING).await?;
    for name in &task.names {
        let plan = if task.is_dry_run {
            audit_sink::plan_garbage(&task.store, name, &task.settings).await
        } else {
            audit_sink::run_garbage(&task.store, name, &task.settings).await
        };
        task.say(name, removed(&plan.context(REMOVING)?, task.is_dry_run))?;
    }
    Ok(())
}

fn removed(plan: &GarbagePlan, is_dry_run: bool) -> Done {
    let n_removed = n(plan.removed.iter().map(|(_, n_files)| n_files).sum());
    let kinds = plan.removed.iter().map(|(kind, n_files)| format!("{n_files} {}", kind.as_str()));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let waiting = count(n(plan.n_waiting), "file");
    let due = plan.next_due_ms.map(time_of_ms);
    let next = due.as_ref().map_or_else(String::new, |due| format!(", the next due {due}"));
    let files = count(n_removed, "file");
    let text = match (n_removed, is_dry_run) {
        (0, _) => format!("nothing to do: {waiting} waiting{next}"),
        (_, true) => format!("would remove {files} ({kinds}); {waiting} waiting{next}"),
        (_, false) => format!("removed {files} ({kinds}); {waiting} waiting{next}"),
    };
    let by_kind: serde_json::Map<_, _> = plan
        .removed
        .iter()
        .map(|(kind, n_files)| (kind.as_str().to_owned(), json!(n_files)))
        .collect();
    let json = json!({ "removed": by_kind, "waiting": plan.n_waiting, "next_due": due });
    Done { text, json }
}

fn n(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use audit_sink::{GarbageKind, SnapshotLine};

    use super::*;

    #[test]
    fn what_was_done_differs_from_what_would_be_done() {
        let nothing = ExpirePlan { n_kept: 3, ..ExpirePlan::default() };
        assert_eq!(expired(&nothing, false).text, "nothing to do: 3 snapshots kept");
        let line =
            SnapshotLine { snapshot_id: 7, committed_at_ms: 0, operation: "append".to_owned() };
        let one = ExpirePlan { snapshots: vec![line], n_kept: 3 };
        let said = "would remove 1 snapshot, 3 kept\n  1970-01-01T00:00:00Z  7  append";
        assert_eq!(expired(&one, true).text, said);

        let none = MergePlan { n_manifests: 2, ..MergePlan::default() };
        assert_eq!(merged(&none, true).text, "nothing to do: 2 manifests");
        let some = MergePlan { n_manifests: 1, n_merged: 120, merged_bytes: 2048 };
        assert_eq!(merged(&some, false).text, "merged 120, 2.0 KiB; 1 manifest now");

        let plan = GarbagePlan {
            removed: vec![(GarbageKind::Metadata, 2), (GarbageKind::Object, 1)],
            n_waiting: 4,
            next_due_ms: Some(60_000),
        };
        let said = "would remove 3 files (2 metadata, 1 object); 4 files waiting, the next due \
                    1970-01-01T00:01:00Z";
        assert_eq!(removed(&plan, true).text, said);
        assert_eq!(removed(&GarbagePlan::default(), false).text, "nothing to do: 0 files waiting");
    }
}
