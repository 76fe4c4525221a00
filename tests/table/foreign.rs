//! What other programs do to the metadata of the table beside a running host.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::env;
use audit_tests::program::{LIMIT, wait_until};

use super::{USAGE, check_exactly_once, filled, lines_of, send_bad_records};

/// Expires all snapshots but the newest; how many are left.
fn expire_by_pyiceberg(case: &Case, table: &str) -> Result<u64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/expire_table.py");
    let output = Command::new(env::python()?)
        .arg(script)
        .args(["--catalog-name", "audit_host", "--table", table])
        .args(["--catalog-db", &case.path("catalog.db"), "--warehouse", &case.path("warehouse")])
        .output()
        .context("cannot start PyIceberg")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "expiring {table}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().parse().context("the number of snapshots")
}

#[test]
fn dead_letters_that_were_rolled_back_are_missed() -> Result<()> {
    let case = filled("table-letters-back")?;
    let host = case.host()?;
    let running = host.start()?;
    send_bad_records(&case)?;
    let n_letters = || case.reader().origins(DEAD_LETTERS).map(|(_, letters)| letters.len());
    let n_before = n_letters()?;
    wait_until("more dead letters", LIMIT, || Ok(n_letters()? > n_before))?;
    let rollback = ["rollback", "--rows", &n_before.to_string()];
    case.reader().change(DEAD_LETTERS, &rollback)?;
    send_bad_records(&case)?;
    for ended in [running.wait(LIMIT)?, host.clone().args(&["--until-end"]).run()?] {
        let error = ended.error_lines().join("\n");
        ensure!(ended.code() == Some(USAGE) && error.contains("AH-0537"), "{}", ended.stderr);
        ensure!(error.contains(DEAD_LETTERS), "{error}");
    }
    case.reader().change(DEAD_LETTERS, &["forward"])?;
    host.clone().args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}

#[test]
fn snapshots_that_pyiceberg_expires_beside_a_running_host_take_nothing_along() -> Result<()> {
    let case = Case::new("table-foreign", 2)?;
    // The plugin is added to a table that knows another chain: a change, which is a row.
    case.generate(100, 2)?.succeed()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    let mut producer = case.generate(15_000, 3)?.args(&["--rate", "500"]).start()?;
    send_bad_records(&case)?;
    let host = case.host_with(&["redact_pii"])?;
    let mut running = host.clone().args(&["--trigger-interval", "300ms"]).start()?;
    let snapshots = case.table_command(&["snapshots"]);
    let mut n_expired = 0;
    loop {
        wait_until("some commits", LIMIT, || {
            ensure!(!running.has_ended()?, "the host ended: {}", running.log()?);
            let is_running = running.log()?.contains("running");
            Ok(producer.has_ended()? || (is_running && lines_of(&snapshots)?.len() >= 6))
        })?;
        if producer.has_ended()? {
            break;
        }
        let before = lines_of(&snapshots)?.len();
        let left = expire_by_pyiceberg(&case, TABLE)?;
        n_expired += usize::from(left < before as u64);
        expire_by_pyiceberg(&case, DEAD_LETTERS)?;
    }
    ensure!(n_expired > 0, "nothing was expired while the host wrote");
    producer.wait(LIMIT)?.success()?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    // The snapshot of the plugin's start has expired; its row has not.
    let history = case.plugin_command(&["history"]).succeed()?.stdout;
    ensure!(history.contains("added") && history.contains("redact_pii"), "{history}");
    expire_by_pyiceberg(&case, TABLE)?;
    host.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}
