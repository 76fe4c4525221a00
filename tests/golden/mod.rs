//! Golden: every folder of `examples/` does what its `expected/` files say.
//!
//! `UPDATE_EXPECT=1` rewrites those files; review the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use audit_tests::case::{DEAD_LETTERS, TABLE};
use audit_tests::json::json_lines;
use audit_tests::program::Program;
use audit_tests::table::Reader;
use audit_tests::{broker, env};
use serde_json::Value;

const ROWS: &[&str] = &[
    "source_topic",
    "source_partition",
    "source_offset",
    "audit_id",
    "event_timestamp",
    "user_id",
    "user_email",
    "action_type",
    "resource_type",
    "resource_id",
    "resource_name",
    "action_result",
    "ip_address",
    "user_agent",
    "session_id",
    "details",
];

/// Without what differs from run to run: times of the run, the epoch, the build of a plugin.
const LETTERS: &[&str] = &[
    "source_topic",
    "source_partition",
    "source_offset",
    "reason_class",
    "reason",
    "plugin",
    "payload_bytes",
    "payload_form",
];

#[test]
fn every_example_gives_what_it_promises() -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = fs::read_dir(&examples).with_context(|| examples.display().to_string())?;
    let folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let mut n_examples = 0;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let name = folder.file_name().context("an example's name")?.to_string_lossy();
        run_example(folder, &name).with_context(|| format!("the example {name}"))?;
        n_examples += 1;
    }
    ensure!(n_examples > 0, "no example in {}", examples.display());
    Ok(())
}

/// As the example's README says, but with the tests' own broker and a folder of its own.
fn run_example(example: &Path, name: &str) -> Result<()> {
    let dir = env::folder(&format!("example-{name}"))?;
    let config = example.join("audit-host.toml").canonicalize()?.display().to_string();
    let brokers = broker::brokers()?;
    let host = Program::new(&dir, &["--config", &config, "--brokers", &brokers]);

    let topic = topic_of(&host.clone().args(&["--print-config"]).succeed()?.stdout)?;
    broker::create_topic(&topic, 1)?;
    let input = fs::read(example.join("input.jsonl"))?;
    let lines = input.strip_suffix(b"\n").unwrap_or(&input).split(|byte| *byte == b'\n');
    broker::send(&topic, lines.map(|line| (0, Some(line.to_vec()))))?;
    host.args(&["--until-end"]).succeed()?;

    let reader = Reader::new(&dir.join("data/catalog.db"), &dir.join("data/warehouse"), &dir);
    let (_, rows) = reader.rows(TABLE, ROWS)?;
    let (_, letters) = reader.rows(DEAD_LETTERS, LETTERS)?;
    let mut alerts = json_lines(&dir.join("alerts.jsonl"))?;
    for alert in &mut alerts {
        let plugin = alert["plugin"].as_object_mut().context("an alert names its plugin")?;
        plugin.remove("sha256");
    }
    let expected = example.join("expected");
    compare(&expected.join("rows.jsonl"), &in_order(rows))?;
    compare(&expected.join("dead_letters.jsonl"), &in_order(letters))?;
    compare(&expected.join("alerts.jsonl"), &alerts)
}

/// The one topic of a printed configuration.
fn topic_of(config: &str) -> Result<String> {
    let line = config.lines().find_map(|line| line.strip_prefix("topics = [\""));
    let topic = line.and_then(|rest| rest.strip_suffix("\"]"));
    topic.map(str::to_owned).with_context(|| format!("one topic in\n{config}"))
}

fn in_order(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row["source_partition"].as_i64(), row["source_offset"].as_i64()));
    rows
}

fn compare(path: &Path, seen: &[Value]) -> Result<()> {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let lines: Vec<String> = seen.iter().map(Value::to_string).collect();
        return fs::write(path, lines.join("\n") + "\n")
            .with_context(|| path.display().to_string());
    }
    let expected = json_lines(path)?;
    ensure!(!expected.is_empty(), "{} expects nothing", path.display());
    for (at, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
        assert_eq!(seen, expected, "line {} of {}", at + 1, path.display());
    }
    assert_eq!(seen.len(), expected.len(), "lines of {}", path.display());
    Ok(())
}
