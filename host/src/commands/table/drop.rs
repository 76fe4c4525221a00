//! `audit-host table drop`.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use audit_sink::admin::DropPlan;
use audit_sink::{Store, TableName, admin};

use super::error::Error;
use super::output::json_lines;
use crate::cli::{ChangeArgs, DropArgs, ReadArgs};
use crate::commands::columns::{clean, count, size};
use crate::config;
use crate::stdout::print;

/// What every error of the sink is about.
const DROPPING: &str = "dropping the table";
/// Longer names are not the table's.
const NAME_BYTES_MAX: u64 = 4096;

pub(super) async fn run(args: DropArgs) -> Result<()> {
    let DropArgs { change: ChangeArgs { read, dry_run }, yes_drop } = args;
    let ReadArgs { table, json, .. } = read;
    let place = config::resolve_table(table)?;
    let store = Store::open_existing(&place.catalog).await.context(DROPPING)?;
    let plan = admin::plan_drop(&store, &place.name, place.lane_lease).await.context(DROPPING)?;
    print(&if json { json_lines(&[&plan])? } else { as_text(&plan) })?;
    if dry_run {
        return if json { Ok(()) } else { print("dry run: nothing was removed\n") };
    }
    confirm(&place.name, yes_drop)?;
    plan.execute(&store).await.context(DROPPING)?;
    if json { Ok(()) } else { print(&format!("dropped {}\n", place.name)) }
}

fn as_text(plan: &DropPlan) -> String {
    let mut text = String::new();
    for table in &plan.tables {
        let rows = table.rows.map_or_else(String::new, |n| format!("{}, ", count(n, "row")));
        let files = count(table.files, "file");
        let (size, folder) = (size(table.bytes), table.folder.display().to_string());
        let left = if table.is_leftover { " (left by an interrupted drop)" } else { "" };
        let folder = clean(&folder);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}: {rows}{files}, {size} in {folder}{left}", table.table);
    }
    for path in plan.objects.iter().chain(&plan.components) {
        let _ = writeln!(text, "{}", clean(&path.display().to_string()));
    }
    text
}

/// Only somebody who types the table's name has its rows removed.
fn confirm(name: &TableName, given: Option<String>) -> Result<(), Error> {
    let table = name.to_string();
    let given = match given {
        Some(given) => given,
        None if io::stdin().is_terminal() => ask(&table).map_err(Error::Terminal)?,
        None => return Err(Error::NoTerminal { table }),
    };
    if given == table { Ok(()) } else { Err(Error::OtherName { table, given }) }
}

fn ask(table: &str) -> io::Result<String> {
    let mut to = io::stderr();
    let prompt = format!("All of this is removed for good. Type {table} to drop it: ");
    to.write_all(prompt.as_bytes())?;
    to.flush()?;
    let mut line = String::new();
    io::Read::take(io::stdin().lock(), NAME_BYTES_MAX).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
