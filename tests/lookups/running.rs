//! Tables reloaded by a running host: reported in the log, in the table and as alerts.

use std::fs;

use anyhow::{Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::json::json_lines;
use audit_tests::program::{LIMIT, wait_for, wait_until};
use audit_tests::{env, files};
use serde_json::Value;
use sha2::{Digest, Sha256};

const TAKEN: &str = "took a lookup";
const REFUSED: &str = "a lookup was not taken";

fn put(case: &Case, text: &str) -> Result<()> {
    files::put(&case.dir.join("roles.csv"), text)
}

/// The configuration of a host with the guest and everything that it asks for.
fn config(case: &Case) -> Result<String> {
    fs::write(case.dir.join("pii.key"), "0123456789abcdef0123456789abcdef")?;
    let path = case.dir.join("audit-host.toml");
    let text = format!(
        "[[plugin]]\npath = {:?}\nkeys = [\"pii\"]\nlookups = [\"roles\", \"office\"]\n\
         config = {{ table = \"roles\", calendar = \"office\", key = \"pii\" }}\n\
         [keys.pii]\nfile = {:?}\nid = \"2026-11\"\n\
         [lookups.roles]\nfile = {:?}\nkey = \"user_id\"\n\
         [calendars.office]\ntime-zone = \"Europe/Berlin\"\nhours = [\"mon-fri 09:00-17:00\"]\n",
        env::guest("look_up")?,
        case.path("pii.key"),
        case.path("roles.csv"),
    );
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// The version of the table, computed as the documentation for operators says.
fn version(text: &str) -> String {
    let mut digest = Sha256::new();
    for part in [&*files::sha256(text), "exact", "user_id", "", ""] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

#[test]
fn a_table_changes_under_a_running_host_and_a_bad_one_does_not() -> Result<()> {
    let case = Case::new("lookups-running", 1)?;
    case.generate(500, 3)?.succeed()?;
    let (first, second) = ("user_id,role\nada,clerk\n", "user_id,role\nada,admin\n");
    put(&case, first)?;
    let config = config(&case)?;
    let host = case.host()?.args(&["--config", &config, "--trigger-interval", "500ms"]);
    let running = host.start()?;
    wait_for(&running, "running", 1)?;
    put(&case, second)?;
    wait_for(&running, TAKEN, 1)?;
    let bad = [
        ("", "it is empty"),
        ("user_id,role\n", "it has no rows"),
        ("user_id\nada\n", "is gone; only a restart takes it"),
        ("user_id,role\nada,a\nada,b\n", "line 3: its key stands at line 2 already"),
    ];
    for (n, (text, word)) in bad.iter().enumerate() {
        put(&case, text)?;
        wait_for(&running, REFUSED, n + 1)?;
        let log = running.log()?;
        let line = log.lines().rfind(|line| line.contains(REFUSED));
        ensure!(line.is_some_and(|line| line.contains(word)), "{word}: {line:?}");
    }
    fs::remove_file(case.dir.join("roles.csv"))?;
    wait_for(&running, REFUSED, bad.len() + 1)?;
    put(&case, first)?;
    wait_for(&running, TAKEN, 2)?;
    wait_until("an alert for every refusal", LIMIT, || {
        let alerts = json_lines(&case.dir.join("alerts.jsonl")).unwrap_or_default();
        Ok(alerts.iter().filter(|alert| alert["rule"] == "lookup-refused").count() > bad.len())
    })?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;

    let columns = ["resource_type", "resource_id", "action_result", "details", "source_offset"];
    let (table, rows) = case.reader().rows(TABLE, &columns)?;
    let own: Vec<&Value> = rows.iter().filter(|row| row["source_offset"].is_null()).collect();
    let lookups = own.iter().filter(|row| row["resource_type"] == "lookup").count();
    ensure!(lookups == bad.len() + 3, "{own:?}");
    let details = own.iter().filter_map(|row| row["details"].as_str());
    ensure!(
        details.clone().any(|text| text.contains(&version(second))),
        "the version of the table"
    );
    let known = [version(first), version(second)];
    let mut n_epochs = 0;
    for summary in table.summaries() {
        let Some(lookups) = summary["audit-host.lookups"].as_str() else { continue };
        let lookups: Value = serde_json::from_str(lookups)?;
        ensure!(known.iter().any(|version| lookups["roles"] == **version), "{lookups}");
        ensure!(lookups["office"].is_string(), "{lookups}");
        n_epochs += 1;
    }
    ensure!(n_epochs > 0, "no snapshot names its lookups");
    Ok(())
}
