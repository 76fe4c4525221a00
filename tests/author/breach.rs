//! A plugin that breaks the contract on batches, and on no row alone: cutting it up hides it, and the commands and the
//! host's log do not.

use std::fs;

use anyhow::{Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::env;
use audit_tests::program::Program;

/// One value less than rows, in batches of more than one row.
const CONFIG: &str = r#"{"do":"short-column","above_rows":1}"#;

#[test]
fn a_breach_fails_test_check_and_bench() -> Result<()> {
    let dir = env::folder("author-breach")?;
    let (guest, case) = (env::guest("hostile")?, dir.join("cases/first"));
    fs::create_dir_all(&case)?;
    let event = "{\"event_timestamp\":\"2025-01-16T08:00:00Z\",\"action_type\":\"x\"}\n";
    fs::write(case.join("events.jsonl"), event.repeat(4))?;
    fs::write(case.join("config.json"), CONFIG)?;
    let test = ["plugin", "test", &guest, "--cases", "cases"];
    for more in [&["--update"][..], &[]] {
        let ended = Program::new(&dir, &test).args(more).run()?;
        ensure!(ended.code() == Some(1), "{}", ended.stdout);
        ensure!(ended.stdout.contains("it broke the contract"), "{}", ended.stdout);
        ensure!(ended.stdout.contains("4 offsets for 4 rows, not 5"), "{}", ended.stdout);
    }
    let bench = ["plugin", "bench", &guest, "--config", CONFIG, "--rows", "64"];
    let ended = Program::new(&dir, &bench).run()?;
    ensure!(
        ended.code() == Some(1) && ended.stderr.contains("a batch was cut up"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn the_host_logs_once_an_epoch_why_batches_were_cut_up() -> Result<()> {
    let case = Case::new("author-cut-up", 1)?;
    case.generate(300, 4)?.succeed()?;
    let (config, guest) = (case.path("audit-host.toml"), env::guest("hostile")?);
    let plugin = "config = { do = \"short-column\", above_rows = 1 }";
    fs::write(&config, format!("[[plugin]]\npath = {guest:?}\n{plugin}\n"))?;
    let ended = case.host()?.args(&["--config", &config, "--until-end"]).succeed()?;
    let lines: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains("batches cut up")).collect();
    let (snapshots, rows) = case.reader().rows(TABLE, &["source_offset"])?;
    ensure!(!lines.is_empty() && lines.len() <= 2, "{lines:?} for {snapshots:?}");
    ensure!(lines[0].contains("offsets for") && lines[0].contains("n_times="), "{lines:?}");
    let n_rows = rows.iter().filter(|row| !row["source_offset"].is_null()).count();
    ensure!(n_rows == 300, "{n_rows} rows");
    Ok(())
}
