//! `audit-host table`: what an operator does to a table, and what other programs do to it, lose and double nothing.

mod apart;
mod beside;
mod drop;
mod foreign;
mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::program::{Ended, Program};
use audit_tests::{broker, files};
use serde_json::Value;

/// Something failed at run time.
const FAILED: i32 = 1;
/// The command line, the configuration or what it names is wrong.
const USAGE: i32 = 2;

/// Records that become dead letters.
const N_BAD: usize = 12;

fn send_bad_records(case: &Case) -> Result<()> {
    let record = |n: usize| ((n as i32) % case.n_partitions, Some(b"no event".to_vec()));
    broker::send(&case.topic, (0..N_BAD).map(record))
}

/// A topic that is read to its end: rows, and dead letters.
fn filled(name: &str) -> Result<Case> {
    let case = Case::new(name, 2)?;
    case.generate(2_000, 7)?.succeed()?;
    send_bad_records(&case)?;
    case.host()?.args(&["--until-end"]).succeed()?;
    Ok(case)
}

/// Every offset of the topic is a row or a dead letter, once.
fn check_exactly_once(case: &Case) -> Result<()> {
    let rows = case.reader().record_origins(TABLE)?;
    let (_, letters) = case.reader().origins(DEAD_LETTERS)?;
    let all: BTreeSet<_> = rows.iter().chain(&letters).copied().collect();
    ensure!(all.len() == rows.len() + letters.len(), "a record is there twice");
    let expected = case.offsets()?;
    let lost: Vec<_> = expected.difference(&all).take(5).collect();
    ensure!(lost.is_empty() && all.len() == expected.len(), "lost, among others: {lost:?}");
    Ok(())
}

/// Every byte of the warehouse, and what the catalog names.
fn state(case: &Case) -> Result<(BTreeMap<PathBuf, String>, Vec<Value>)> {
    let mut digests = BTreeMap::new();
    for path in files::below(&case.dir.join("warehouse"))? {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        digests.insert(path, files::sha256(bytes));
    }
    let mut named = Vec::new();
    for table in [TABLE, DEAD_LETTERS] {
        named.push(case.reader().manifests(table)?.field("metadata_location")?.clone());
    }
    Ok((digests, named))
}

/// The command fails with this exit code, and with one line that has these words.
fn refused(command: &Program, code: i32, words: &[&str]) -> Result<Ended> {
    let ended = command.run()?;
    ensure!(ended.code() == Some(code), "it ended with {}: {}", ended.status, ended.stderr);
    let lines = ended.error_lines();
    ensure!(lines.len() == 1, "{}", ended.stderr);
    for word in words {
        ensure!(lines[0].contains(word), "{word:?} is not in {}", lines[0]);
    }
    Ok(ended)
}

/// The objects that a command prints with `--json`.
fn lines_of(command: &Program) -> Result<Vec<Value>> {
    let out = command.clone().args(&["--json"]).succeed()?.stdout;
    out.lines().map(|line| serde_json::from_str(line).context("a line of JSON")).collect()
}
