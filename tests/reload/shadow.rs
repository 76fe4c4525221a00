//! Shadows: candidates that are compared on every batch, and of which nothing is kept.

use std::fs;

use anyhow::{Context, Result, ensure};
use audit_tests::case::Case;
use audit_tests::files::put;
use audit_tests::program::{LIMIT, wait_for, wait_until};
use audit_tests::{env, hostile};
use serde_json::Value;

use super::{MARK, host, marks_of, plugin_folder, versions};

const N_EVENTS: u64 = 20_000;

fn report(case: &Case) -> Result<Vec<Value>> {
    let text = fs::read_to_string(case.dir.join("shadow.json"))?;
    serde_json::from_str(&text).context("the shadow report")
}

#[test]
fn a_candidate_is_compared_on_every_row_and_leaves_no_trace() -> Result<()> {
    let case = Case::new("shadow", 2)?;
    case.generate(N_EVENTS, 21)?.succeed()?;
    let versions = versions()?;
    let folder = plugin_folder(&case)?;
    let (plugin, candidate) = (folder.join("plugin.wasm"), folder.join("new.wasm"));
    put(&plugin, &versions[0])?;
    put(&candidate, &versions[1])?;
    let shadow = format!("files_and_sockets={}", candidate.display());
    let shadowed = || -> Result<_> {
        let args = ["--shadow", &shadow, "--shadow-report", &case.path("shadow.json")];
        Ok(host(&case, &plugin)?.args(&args))
    };
    let running = shadowed()?.start()?;
    wait_for(&running, "shadow started", 1)?;
    case.generate(N_EVENTS, 22)?.succeed()?;
    let all = format!("{} rows committed", 2 * N_EVENTS + 1);
    wait_for(&running, &all, 1)?;
    // It is written every ten seconds. The candidate runs since before the second half.
    wait_until("a shadow report on every row", LIMIT, || {
        let Ok(reports) = report(&case) else { return Ok(false) };
        let (report, differing) = (&reports[0], &reports[0]["columns"]["user_agent"]);
        ensure!(differing["rows"] == report["rows"], "a row that does not differ: {report}");
        ensure!(report["batches_skipped"] == 0, "{report}");
        Ok(report["rows"].as_u64() >= Some(N_EVENTS) && differing["samples"][0]["offset"].is_i64())
    })?;
    // Promoted while it runs: the same bytes take the plugin's place, and the shadow ends.
    let marks = marks_of(&case)?;
    ensure!(marks.len() as u64 == 2 * N_EVENTS, "{} rows of records", marks.len());
    ensure!(marks.iter().all(|mark| mark == MARK), "the candidate wrote into the table");
    case.plugin_command(&["promote", "files_and_sockets"]).succeed()?;
    wait_for(&running, "plugin loaded", 1)?;
    ensure!(fs::read(&plugin)? == versions[1], "another file was promoted");
    running.terminate()?;
    let ended = running.wait(LIMIT)?.success()?;
    ensure!(ended.stderr.contains("rows_differing"), "no report in the log:\n{}", ended.stderr);
    Ok(())
}

/// A candidate that always agrees has an empty report, alerts included.
#[test]
fn a_candidate_that_agrees_has_nothing_to_report() -> Result<()> {
    let case = Case::new("shadow-same", 1)?;
    let folder = plugin_folder(&case)?;
    let candidate = folder.join("new.wasm");
    let bytes = fs::read(env::plugin("detect_failed_logins")?)?;
    // Other bytes, the same rule.
    put(&candidate, hostile::with_padding(&bytes, 100))?;
    let shadow = format!("detect_failed_logins={}", candidate.display());
    let running = case
        .host_with(&["detect_failed_logins"])?
        .args(&["--shadow", &shadow, "--shadow-report", &case.path("shadow.json")])
        .args(&["--plugin-cache", "off", "--trigger-interval", "500ms"])
        .start()?;
    wait_for(&running, "shadow started", 1)?;
    case.generate(N_EVENTS, 23)?.succeed()?;
    let all = N_EVENTS.to_string();
    wait_for(&running, &format!("{all} events in"), 1)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    let reports = report(&case)?;
    let report = reports.first().context("no report")?;
    ensure!(report["rows"] == N_EVENTS && report["batches_skipped"] == 0, "{report}");
    ensure!(report["alerts_both"].as_u64() > Some(0), "no alert to compare: {report}");
    for what in ["alerts_gained", "alerts_lost"] {
        ensure!(report[what].as_array().is_some_and(Vec::is_empty), "{report}");
    }
    ensure!(report["failed"]["rows"] == 0, "{report}");
    Ok(())
}
