//! Swaps under load, by plugins whose effects add up: a row that is judged twice, by two versions or by
//! none shows in the table or in the alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::files::{put, sha256};
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Program, wait_for};
use audit_tests::table::Reading;
use audit_tests::{env, hostile};
use serde_json::Value;

use super::hang_up;

/// How often one of the two plugins is swapped.
const SWAPS: usize = 200;
const N_EVENTS: u64 = 240_000;
const RATE: &str = "8000";
/// What the transform appends to every row, and what its other version appends: of the same length.
const MARKS: [&str; 2] = ["[mark A]", "[mark B]"];
/// What every mark begins with.
const MARK_START: &str = "[mark";
/// The transform's name, by which the table knows its versions.
const TRANSFORM: &str = "hostile";
/// The detector reports what it has counted at every such offset of a partition.
const REPORT_EVERY: i64 = 500;
const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A plugin's file, and two versions of it.
struct Swapped {
    path: PathBuf,
    versions: [Vec<u8>; 2],
}

/// A transform that appends a mark to a column of every row.
fn transform(case: &Case) -> Result<Swapped> {
    let first = fs::read(env::guest("hostile")?)?;
    let second = hostile::patched(&first, MARKS[0], MARKS[1])?;
    Ok(Swapped { path: case.dir.join("marks.wasm"), versions: [first, second] })
}

/// A detector that counts the rows of every partition and adds up their offsets. Its versions are the same
/// rule in other bytes.
fn detector(case: &Case) -> Result<Swapped> {
    let first = hostile::with_mode(&fs::read(env::guest("hostile")?)?, "detector+count")?;
    let second = hostile::with_padding(&first, 100);
    Ok(Swapped { path: case.dir.join("counts.wasm"), versions: [first, second] })
}

/// `audit-host` with both plugins, and with a key: what the detector has counted outlives a restart.
fn host(case: &Case, transform: &Swapped, detector: &Swapped) -> Result<Program> {
    let (key, config) = (case.dir.join("key"), case.dir.join("audit-host.toml"));
    fs::write(&key, SEALING_KEY)?;
    let text = format!(
        "[dead-letters]\nkey-file = \"{}\"\n\
         [[plugin]]\npath = \"{}\"\nconfig = {{ do = \"count\", alert_every = {REPORT_EVERY} }}\n\
         [[plugin]]\npath = \"{}\"\nconfig = {{ do = \"append-mark\" }}\n",
        key.display(),
        detector.path.display(),
        transform.path.display(),
    );
    fs::write(&config, text)?;
    let host = case.host()?.args(&["--config", &config.display().to_string()]);
    Ok(host.args(&["--plugin-cache", &case.path("compiled"), "--trigger-interval", "1s"]))
}

#[test]
fn two_hundred_swaps_under_load_lose_and_repeat_nothing() -> Result<()> {
    let case = Case::new("reload", 4)?;
    let plugins = [transform(&case)?, detector(&case)?];
    for Swapped { path, versions } in &plugins {
        put(path, &versions[0])?;
    }
    let [transform, detector] = &plugins;
    let mut producer = case.generate(N_EVENTS, 11)?.args(&["--rate", RATE]).start()?;
    let running = host(&case, transform, detector)?.args(&["--watch-plugins=false"]).start()?;
    wait_for(&running, "running", 1)?;
    let mut n_under_load = 0;
    for swap in 1..=SWAPS {
        // One after the other, each from its first version to its second and back.
        let Swapped { path, versions } = &plugins[swap % 2];
        put(path, &versions[swap.div_ceil(2) % 2])?;
        hang_up(&running)?;
        wait_for(&running, "plugin loaded", swap)?;
        n_under_load += usize::from(!producer.has_ended()?);
    }
    ensure!(n_under_load * 2 > SWAPS, "only {n_under_load} swaps under load");
    producer.wait(LIMIT)?.success()?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    host(&case, transform, detector)?.args(&["--until-end"]).succeed()?;

    let columns = ["source_partition", "source_offset", "user_agent", "action_type", "details"];
    let (table, rows) = case.reader().rows(TABLE, &columns)?;
    let (of_records, of_host): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| !row["source_offset"].is_null());
    let found: BTreeSet<(i64, i64)> = of_records.iter().filter_map(|row| origin(row)).collect();
    ensure!(found == case.offsets()?, "{} of {} records", found.len(), case.offsets()?.len());
    ensure!(of_records.len() == found.len(), "{} rows: some twice", of_records.len());

    let unlike = unlike(&of_host);
    ensure!(
        of_host.len() == SWAPS && unlike.is_empty(),
        "{} rows of swaps: {unlike}",
        of_host.len()
    );
    ensure!(of_host.iter().all(|row| row["action_type"] == "config_update"));
    check_marks(&case, &table, &of_records, transform)?;
    check_counts(&case)
}

/// The details of the host's own rows that report anything but a swap.
fn unlike(rows: &[&Value]) -> String {
    let is_plain = |details: &str| details.contains("\"replaced\"") && details.contains("SIGHUP");
    let details = rows.iter().map(|row| text(&row["details"]));
    details.filter(|details| !is_plain(details)).collect::<Vec<_>>().join("\n")
}

fn origin(row: &Value) -> Option<(i64, i64)> {
    Some((row["source_partition"].as_i64()?, row["source_offset"].as_i64()?))
}

/// Every row has one mark: that of the version that the snapshots' summaries prove for it. The rule is the
/// documented one, and uses none of the host's code.
fn check_marks(case: &Case, table: &Reading, rows: &[&Value], transform: &Swapped) -> Result<()> {
    let digests = transform.versions.each_ref().map(sha256);
    let epochs = epochs(table)?;
    let mut judged = BTreeMap::new();
    for row in rows {
        let (partition, offset) = origin(row).context("a row without its origin")?;
        let agent = row["user_agent"].as_str().context("a row without a mark")?;
        let n_marks = agent.matches(MARK_START).count();
        ensure!(n_marks == 1, "{partition}@{offset} was judged {n_marks} times: {agent:?}");
        let digest = proved(&epochs, &case.topic, partition, offset)?;
        let version = digests.iter().position(|known| *known == digest);
        let version = version.with_context(|| format!("no version has the digest {digest}"))?;
        let mark = MARKS[version];
        ensure!(agent.ends_with(mark), "{partition}@{offset} has not {mark:?}, but {agent:?}");
        *judged.entry(version).or_insert(0) += 1;
    }
    ensure!(judged.len() == 2, "one version judged everything: {judged:?}");
    Ok(())
}

/// What the summary of a snapshot says of its epoch.
struct Epoch {
    offsets: Value,
    plugins: Value,
    changes: Value,
}

fn epochs(table: &Reading) -> Result<Vec<Epoch>> {
    let mut epochs = Vec::new();
    for summary in table.summaries() {
        let Some(offsets) = summary["audit-host.offsets"].as_str() else { continue };
        let json = |key: &str| -> Result<Value> {
            Ok(serde_json::from_str(summary[key].as_str().unwrap_or("[]"))?)
        };
        epochs.push(Epoch {
            offsets: serde_json::from_str(offsets)?,
            plugins: json("audit-host.plugins")?,
            changes: json("audit-host.plugin-changes")?,
        });
    }
    Ok(epochs)
}

/// The digest of the transform that judged a row, by the summary of the snapshot that covers it.
fn proved(epochs: &[Epoch], topic: &str, partition: i64, offset: i64) -> Result<String> {
    let at = partition.to_string();
    let covers = |epoch: &&Epoch| {
        let span = &epoch.offsets[topic][&at];
        let ends = span[0].as_i64().zip(span[1].as_i64());
        ends.is_some_and(|(start, next)| (start..next).contains(&offset))
    };
    let epoch = epochs.iter().find(covers);
    let epoch = epoch.with_context(|| format!("no snapshot covers {partition}@{offset}"))?;
    let at_begin = epoch.plugins.as_array().into_iter().flatten();
    let holds =
        |change: &&Value| change["from"][topic][&at].as_i64().is_none_or(|from| offset >= from);
    let changed = epoch.changes.as_array().into_iter().flatten().filter(holds);
    let of_transform = |plugin: &&Value| plugin["name"] == TRANSFORM;
    let mut plugins = at_begin.chain(changed.map(|change| &change["after"]));
    let last = plugins.rfind(of_transform);
    Ok(text(&last.context("a snapshot without the transform")?["sha256"]))
}

/// Wherever the detector reports, it had seen every row of the partition up to there, in order and once.
fn check_counts(case: &Case) -> Result<()> {
    let mut expected = case.offsets()?;
    expected.retain(|(_, offset)| offset % REPORT_EVERY == 0);
    for alert in case.alerts()? {
        ensure!(alert["rule"] == "seen", "an alert about something else: {alert}");
        let number = |value: &Value| -> Result<i64> {
            text(value).parse().with_context(|| alert.to_string())
        };
        let (key, labels) = (&alert["key"], &alert["labels"]);
        let offset = number(&key["source_offset"])?;
        let at = (number(&key["source_partition"])?, offset);
        ensure!(expected.remove(&at), "an alert of no record, or a second one: {alert}");
        let seen = (
            number(&labels["partition_count"])?,
            number(&labels["partition_sum"])?,
            number(&labels["again"])?,
        );
        let whole = (offset + 1, offset * (offset + 1) / 2, 0);
        ensure!(seen == whole, "count, sum and repeated rows are {seen:?}, not {whole:?}: {alert}");
    }
    ensure!(expected.is_empty(), "no report at {expected:?}");
    Ok(())
}
