//! `audit-host table register`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use audit_sink::admin;
use audit_sink::admin::{RegisterChange, RegisterRequest, Registration};

use super::output::json_lines;
use crate::cli::{ChangeArgs, ReadArgs, RegisterArgs};
use crate::commands::columns::{clean, count};
use crate::config;
use crate::stdout::print;

pub(super) async fn run(args: RegisterArgs) -> Result<()> {
    let RegisterArgs { change: ChangeArgs { read, dry_run }, metadata, latest: _ } = args;
    let ReadArgs { table, json, .. } = read;
    let place = config::resolve_table(table)?;
    let request = RegisterRequest {
        name: place.name,
        metadata,
        lease: place.lane_lease,
        is_dry_run: dry_run,
    };
    let done = admin::register(&place.catalog, &request).await.context("registering the table")?;
    let text = || done.iter().map(|table| as_text(table, dry_run)).collect::<String>();
    print(&if json { json_lines(&done)? } else { text() })
}

fn as_text(table: &Registration, is_dry_run: bool) -> String {
    let name = &table.table;
    let metadata = clean(table.metadata.as_deref().unwrap_or_default());
    let did = if is_dry_run { "would register" } else { "registered" };
    let rows = table.rows.map_or_else(|| "unknown rows".to_owned(), |n| count(n, "row"));
    let snapshots = count(u64::try_from(table.snapshots).unwrap_or_default(), "snapshot");
    let updated = table.updated.as_deref().unwrap_or_default();
    let what = format!("{did} {name}: {metadata}\n  {rows}, {snapshots}, written {updated}\n");
    let before = clean(table.before.as_deref().unwrap_or_default());
    let mut text = match table.change {
        RegisterChange::Added => what,
        RegisterChange::Replaced => format!("{what}  instead of {before}\n"),
        RegisterChange::Unchanged => format!("{name}: the catalog is up to date: {before}\n"),
        RegisterChange::Absent => format!("{name}: there is no such table\n"),
    };
    for note in &table.notes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}", clean(note));
    }
    text
}
