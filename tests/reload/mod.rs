//! Plugins exchanged in a running host: no record lost or repeated, and the table proves which bytes
//! judged each of its rows.

mod files;
mod shadow;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE, text};
use audit_tests::program::{LIMIT, Program, Running, wait_until};
use audit_tests::table::Reading;
use audit_tests::{env, hostile};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How often the plugin is exchanged.
const SWAPS: usize = 200;
const N_EVENTS: u64 = 240_000;
const RATE: &str = "8000";
/// What the guest writes into every row, and what its other version writes: of the same length.
const MARK: &str = "asked for nothing";
const OTHER_MARK: &str = "asked for a thing";

/// A plugin that marks every row, in two versions that only their mark tells apart.
fn versions() -> Result<[Vec<u8>; 2]> {
    let bytes = fs::read(env::guest("files_and_sockets")?)?;
    let other = hostile::patched(&bytes, MARK, OTHER_MARK)?;
    Ok([bytes, other])
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Puts a file in place as a deployment does: whole, by a rename.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)?;
    Ok(fs::rename(partial, path)?)
}

fn hang_up(host: &Running) -> Result<()> {
    let status = Command::new("kill").args(["-HUP", &host.pid().to_string()]).status()?;
    ensure!(status.success(), "no SIGHUP to {}", host.pid());
    Ok(())
}

/// Waits until the log has a phrase for the `n`th time.
fn wait_for(host: &Running, phrase: &str, n: usize) -> Result<()> {
    let what = format!("{phrase:?} for the {n}th time in the log");
    wait_until(&what, LIMIT, || Ok(host.said()?.matches(phrase).count() >= n))
}

/// `audit-host` with this file as its plugin, which asks for nothing.
fn host(case: &Case, plugin: &Path) -> Result<Program> {
    let config = case.dir.join("audit-host.toml");
    let path = plugin.display();
    fs::write(
        &config,
        format!("[[plugin]]\npath = \"{path}\"\nconfig = {{ try = \"nothing\" }}\n"),
    )?;
    let cache = case.path("compiled");
    let host = case.host()?.args(&["--config", &config.display().to_string()]);
    Ok(host.args(&["--plugin-cache", &cache, "--trigger-interval", "500ms"]))
}

#[test]
fn two_hundred_exchanges_under_load_lose_and_repeat_nothing() -> Result<()> {
    let case = Case::new("reload", 4)?;
    let versions = versions()?;
    let plugin = case.dir.join("plugin.wasm");
    put(&plugin, &versions[0])?;
    let mut producer = case.generate(N_EVENTS, 11)?.args(&["--rate", RATE]).start()?;
    let running = host(&case, &plugin)?.args(&["--watch-plugins=false"]).start()?;
    wait_for(&running, "running", 1)?;
    let mut n_under_load = 0;
    for swap in 1..=SWAPS {
        put(&plugin, &versions[swap % 2])?;
        hang_up(&running)?;
        wait_for(&running, "plugin loaded", swap)?;
        n_under_load += usize::from(!producer.has_ended()?);
    }
    ensure!(n_under_load * 2 > SWAPS, "only {n_under_load} exchanges under load");
    producer.wait(LIMIT)?.success()?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    host(&case, &plugin)?.args(&["--until-end"]).succeed()?;

    let columns = ["source_partition", "source_offset", "user_agent", "action_type", "details"];
    let (table, rows) = case.reader().rows(TABLE, &columns)?;
    let (of_records, of_host): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| !row["source_offset"].is_null());
    let found: BTreeSet<(i64, i64)> = of_records.iter().filter_map(|row| origin(row)).collect();
    ensure!(found == case.offsets()?, "{} of {} records", found.len(), case.offsets()?.len());
    ensure!(of_records.len() == found.len(), "{} rows: some twice", of_records.len());

    ensure!(of_host.len() == SWAPS, "{} rows of exchanges: {}", of_host.len(), unlike(&of_host));
    ensure!(of_host.iter().all(|row| row["action_type"] == "config_update"));
    let marks = versions.map(|bytes| sha256(&bytes));
    let marks = BTreeMap::from([(MARK, marks[0].clone()), (OTHER_MARK, marks[1].clone())]);
    check_provenance(&case, &table, &of_records, &marks)
}

/// The details of rows of the host that tell of something else than an exchange.
fn unlike(rows: &[&Value]) -> String {
    let is_plain = |details: &&str| details.contains("\"replaced\"") && details.contains("SIGHUP");
    let details = rows.iter().filter_map(|row| row["details"].as_str());
    details.filter(|details| !is_plain(details)).collect::<Vec<_>>().join("\n")
}

fn origin(row: &Value) -> Option<(i64, i64)> {
    Some((row["source_partition"].as_i64()?, row["source_offset"].as_i64()?))
}

/// The digest that the snapshots' summaries prove for each row is that of the version whose mark the row
/// has. The rule is that of docs/provenance, and uses nothing of the host's code.
fn check_provenance(
    case: &Case,
    table: &Reading,
    rows: &[&Value],
    marks: &BTreeMap<&str, String>,
) -> Result<()> {
    let mut epochs = Vec::new();
    for summary in table.summaries() {
        let Some(offsets) = summary["audit-host.offsets"].as_str() else { continue };
        let json = |key: &str| -> Result<Value> {
            Ok(serde_json::from_str(summary[key].as_str().unwrap_or("[]"))?)
        };
        let offsets: Value = serde_json::from_str(offsets)?;
        epochs.push((offsets, json("audit-host.plugins")?, json("audit-host.plugin-changes")?));
    }
    let mut judged: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let (partition, offset) = origin(row).context("a row without its origin")?;
        let partition = partition.to_string();
        let (_, plugins, changes) = epochs
            .iter()
            .find(|(offsets, ..)| {
                let span = &offsets[case.topic.as_str()][&partition];
                let ends = span[0].as_i64().zip(span[1].as_i64());
                ends.is_some_and(|(start, next)| (start..next).contains(&offset))
            })
            .with_context(|| format!("no snapshot covers {partition}@{offset}"))?;
        let mut digest = text(&plugins[0]["sha256"]);
        for change in changes.as_array().into_iter().flatten() {
            let from = change["from"][case.topic.as_str()][&partition].as_i64();
            if from.is_none_or(|from| offset >= from) {
                digest = text(&change["after"]["sha256"]);
            }
        }
        let mark = row["user_agent"].as_str().context("a row without a mark")?;
        let expected = marks.get(mark).with_context(|| format!("the mark {mark:?}"))?;
        ensure!(digest == *expected, "{partition}@{offset} has the mark {mark:?} of {expected}");
        *judged.entry(if mark == MARK { MARK } else { OTHER_MARK }).or_default() += 1;
    }
    ensure!(judged.len() == 2, "one version judged everything: {judged:?}");
    Ok(())
}

/// The marks of all rows that came from records.
fn marks_of(case: &Case) -> Result<Vec<String>> {
    let (_, rows) = case.reader().rows(TABLE, &["source_offset", "user_agent"])?;
    let of_records = rows.iter().filter(|row| !row["source_offset"].is_null());
    Ok(of_records.map(|row| text(&row["user_agent"])).collect())
}

/// A place for plugin files of a test.
fn plugin_folder(case: &Case) -> Result<PathBuf> {
    let folder = case.dir.join("plugins");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
