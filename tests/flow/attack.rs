//! A producer whose records a plugin never gets done with, beside others: who pays for it, and with what.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Program, wait_for};
use audit_tests::{env, files, hostile};
use serde_json::Value;

/// Those of others, and the attacker's.
const N_OTHERS: u64 = 8_646;
const N_BAD: u64 = 65;

/// The attacker's offsets, all over the topic.
fn bad() -> BTreeSet<i64> {
    (0..N_BAD as i64).map(|idx| 400 + idx * 127).collect()
}

/// `audit-host` with a detector that counts every row, and behind it a transform with a configuration.
fn host(case: &Case, transform: &str) -> Result<Program> {
    let bytes = fs::read(env::guest("hostile")?)?;
    let (counts, spins) = (case.dir.join("counts.wasm"), case.dir.join("spins.wasm"));
    fs::write(&counts, hostile::with_mode(&bytes, "detector+count")?)?;
    fs::write(&spins, &bytes)?;
    let last = N_OTHERS + N_BAD - 1;
    let config = format!(
        "[[plugin]]\npath = \"{}\"\nconfig = {{ do = \"count\", alert_at = [{last}] }}\n\
         [[plugin]]\npath = \"{}\"\n{transform}\n",
        counts.display(),
        spins.display(),
    );
    let file = case.dir.join("audit-host.toml");
    fs::write(&file, config)?;
    let host = case.host()?.args(&["--config", &file.display().to_string()]);
    Ok(host.args(&["--plugin-cache", &case.path("compiled"), "--trigger-interval", "1s"]))
}

/// Every record is one row or one dead letter, and the bad ones are the dead letters.
fn check(case: &Case, bad: &BTreeSet<i64>) -> Result<()> {
    let offsets = |table| -> Result<BTreeSet<i64>> {
        let (_, rows) = case.reader().rows(table, &["source_offset"])?;
        let found: Vec<i64> = rows.iter().filter_map(|row| row["source_offset"].as_i64()).collect();
        let distinct: BTreeSet<i64> = found.iter().copied().collect();
        ensure!(distinct.len() == found.len(), "{table}: a record is there twice");
        Ok(distinct)
    };
    let (rows, letters) = (offsets(TABLE)?, offsets(DEAD_LETTERS)?);
    ensure!(&letters == bad, "{} dead letters, not {}", letters.len(), bad.len());
    let all: BTreeSet<i64> = (0..(N_OTHERS + N_BAD) as i64).collect();
    let n_lost = (&all - bad).difference(&rows).count();
    ensure!(n_lost == 0 && rows.is_disjoint(bad), "{n_lost} rows of others are lost");
    Ok(())
}

#[test]
fn an_attacker_costs_others_no_row() -> Result<()> {
    let case = Case::new("attack", 1)?;
    case.generate(N_OTHERS + N_BAD, 21)?.succeed()?;
    let peaceful = case.beside("attack-none")?;
    let usual = host(&peaceful, "config = { do = \"nothing\" }")?.args(&["--until-end"]);
    // The first run compiles the plugins.
    usual.succeed()?;
    fs::remove_dir_all(peaceful.dir.join("warehouse"))?;
    fs::remove_file(peaceful.dir.join("catalog.db"))?;
    let usual = usual.succeed()?.elapsed;

    let offsets: Vec<_> = bad().iter().map(i64::to_string).collect();
    let attack = format!("config = {{ do = \"spin\", at_offset = [{}] }}", offsets.join(", "));
    let ended = host(&case, &attack)?.args(&["--until-end"]).succeed()?;
    check(&case, &bad())?;
    // For a row that never returns a part and then the row itself have a short deadline, and the first batch has three
    // seconds. How long that is on a busy machine nobody knows: figures are in the documentation.
    println!("{:?} with the attack, {usual:?} without", ended.elapsed);

    let alerts = case.alerts()?;
    let of = |rule: &str| alerts.iter().filter(|alert| alert["rule"] == rule).collect::<Vec<_>>();
    ensure!(of("plugin-breaker").len() == 1, "{alerts:?}");
    let counted = of("seen").pop().context("the detector raised no alert")?;
    ensure!(counted["count"] == N_OTHERS + N_BAD, "{counted}");
    ensure!(counted["labels"]["again"] == "0", "a row reached the state twice: {counted}");
    // Alerts are about people: nobody but the host's user may read them.
    for path in files::below(&case.dir.join("warehouse/.audit-host/outbox"))?
        .into_iter()
        .chain([case.dir.join("alerts.jsonl")])
    {
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
    }
    // Epochs end while the breaker is open, as the table shows.
    let epochs = case.reader().read(TABLE)?;
    let is_epoch = |summary: &&Value| summary["audit-host.epoch"].is_string();
    let n_epochs = epochs.summaries().iter().filter(is_epoch).count();
    ensure!(n_epochs >= 2, "{n_epochs} epochs in {:?}", ended.elapsed);
    Ok(())
}

/// Nothing that was not judged is covered: a start with a plugin that works goes on where the last commit ended.
#[test]
fn a_stop_is_obeyed_while_rows_wait_for_a_plugin_that_is_down() -> Result<()> {
    let case = Case::new("plugin-down", 1)?;
    case.generate(N_OTHERS + N_BAD, 22)?.succeed()?;
    let down = "config = { do = \"trap\", every = 1 }\nlimits = { breaker-pause = \"10m\" }";
    let running = host(&case, down)?.start()?;
    wait_for(&running, "plugin breaker opened", 1)?;
    let began = Instant::now();
    running.terminate()?;
    let ended = running.wait(LIMIT)?.success()?;
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    ensure!(ended.stderr.contains("the next start reads the rest"), "{}", ended.stderr);
    for table in [TABLE, DEAD_LETTERS] {
        let (_, rows) = case.reader().rows(table, &["source_offset"])?;
        let n_records = rows.iter().filter(|row| !row["source_offset"].is_null()).count();
        ensure!(n_records == 0, "{n_records} records in {table}");
    }

    let mended = "config = { do = \"nothing\", every = 1 }";
    host(&case, mended)?.args(&["--until-end"]).succeed()?;
    check(&case, &BTreeSet::new())?;
    let rules: BTreeSet<_> = case.alerts()?.iter().map(|alert| text(&alert["rule"])).collect();
    ensure!(rules.contains("plugin-breaker") && !rules.contains("plugin-down"), "{rules:?}");
    Ok(())
}
