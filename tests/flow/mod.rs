//! Flow: a real broker, the real program, and readers that share no code with it.

mod attack;
mod office;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::program::Program;
use audit_tests::table::Reading;
use audit_tests::{env, files};
use serde_json::Value;

const N_EVENTS: u64 = 24_000;

const COLUMNS: [&str; 17] = [
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
    "ingestion_timestamp",
    "source_topic",
    "source_partition",
    "source_offset",
];

/// What the table of the usual Spark job has.
const PROPERTIES: [(&str, &str); 5] = [
    ("write.metadata.delete-after-commit.enabled", "true"),
    ("write.metadata.previous-versions-max", "100"),
    ("write.delete.mode", "copy-on-write"),
    ("comment", "Immutable audit trail for compliance (GDPR, SOX, HIPAA)"),
    ("write.parquet.compression-codec", "zstd"),
];

#[test]
fn generated_events_arrive_once_redacted_and_with_their_alerts() -> Result<()> {
    let case = Case::new("flow", 4)?;
    case.generate(N_EVENTS, 1)?.succeed()?;
    let host = case.host_with(&["detect_failed_logins", "redact_pii"])?.args(&["--until-end"]);
    host.succeed()?;

    let (rows, origins) = case.reader().origins(TABLE)?;
    ensure!(rows.n_rows()? == N_EVENTS, "{} rows", rows.n_rows()?);
    ensure!(rows.agreed("distinct_origins")? == N_EVENTS, "a row is there twice");
    let origins: BTreeSet<_> = origins.into_iter().collect();
    ensure!(origins == case.offsets()?, "rows do not cover the topic");
    check_definition(&rows)?;
    check_provenance(&rows)?;
    ensure!(case.reader().read(DEAD_LETTERS)?.n_rows()? == 0, "there are dead letters");
    check_redaction(&case)?;
    case.check_alerts()?;
    let alerts = case.alerts()?;
    let ids: BTreeSet<_> = alerts.iter().map(|alert| text(&alert["id"])).collect();
    assert_eq!(ids.len(), alerts.len(), "an alert came twice");

    host.succeed()?;
    let again = case.reader().read(TABLE)?;
    assert_eq!(again.n_rows()?, N_EVENTS);
    let n_epochs = |reading: &Reading| {
        reading.summaries().iter().filter(|summary| summary["audit-host.epoch"].is_string()).count()
    };
    assert_eq!(n_epochs(&again), n_epochs(&rows), "a second run added an epoch");
    assert_eq!(case.alerts()?, alerts, "a second run added an alert");
    Ok(())
}

/// The first command of the README, with the broker inside the program, which answers less than a real one.
#[test]
fn the_demo_reads_back_what_it_sent() -> Result<()> {
    let dir = env::folder("demo-command")?;
    let ended = Program::new(&dir, &["demo", "--count", "2000", "--dir", "demo"]).succeed()?;
    let read_back = "Read back from demo.audit_trail: 2000 rows in ";
    ensure!(ended.stdout.contains(read_back), "{}", ended.stdout);
    let letters = "Read back from demo.audit_trail_dead_letters: 4 rows";
    ensure!(ended.stdout.contains(letters), "{}", ended.stdout);
    Ok(())
}

#[test]
fn the_redactor_may_come_first_because_it_leaves_addresses_alone() -> Result<()> {
    let case = Case::new("redactor-first", 2)?;
    case.generate(6_000, 2)?.succeed()?;
    let host = case.host_with(&["redact_pii", "detect_failed_logins"])?.args(&["--until-end"]);
    host.succeed()?;
    check_redaction(&case)?;
    case.check_alerts()
}

#[test]
fn one_topic_fills_two_tables_and_a_late_partial_run_goes_on_where_it_ended() -> Result<()> {
    let case = Case::new("resume", 3)?;
    case.generate(2_000, 3)?.succeed()?;
    let host = case.host_with(&["redact_pii"])?.args(&["--until-end"]);
    host.succeed()?;
    case.generate(1_000, 4)?.succeed()?;
    host.succeed()?;
    let other = case.beside("resume-other")?;
    other.host()?.args(&["--until-end", "--group", "another"]).succeed()?;
    for reader in [case.reader(), other.reader()] {
        let (rows, origins) = reader.origins(TABLE)?;
        assert_eq!(rows.agreed("distinct_origins")?, 3_000);
        assert_eq!(origins.len(), 3_000);
    }
    Ok(())
}

#[test]
fn an_empty_topic_makes_the_tables_and_ends() -> Result<()> {
    let case = Case::new("empty", 2)?;
    let host = case.host_with(&["detect_failed_logins", "redact_pii"])?.args(&["--until-end"]);
    host.succeed()?;
    for table in [TABLE, DEAD_LETTERS] {
        let read = case.reader().read(table)?;
        assert_eq!(read.n_rows()?, 0, "{table}");
        // The run takes the lane and releases it; nothing is appended to the dead letters.
        let n_expected = if table == TABLE { 2 } else { 0 };
        assert_eq!(read.0["snapshots"], n_expected, "{table}");
    }
    Ok(())
}

fn check_definition(rows: &Reading) -> Result<()> {
    for reader in ["pyiceberg", "duckdb"] {
        assert_eq!(rows.0[reader]["columns"], serde_json::json!(COLUMNS), "{reader}");
    }
    for what in ["event_timestamp_min", "event_timestamp_max", "by_action_type"] {
        rows.both(what)?;
    }
    let spec = serde_json::json!(["event_timestamp_day", "action_type"]);
    assert_eq!(rows.0["partition_spec"], spec);
    for (name, value) in PROPERTIES {
        assert_eq!(rows.property(name), Some(value), "{name}");
    }
    // That the name is right is shown where a run is killed while one is set: `crash`.
    assert_eq!(rows.pending()?, [""; 0]);
    Ok(())
}

/// The snapshot names the very bytes that judged its rows.
fn check_provenance(rows: &Reading) -> Result<()> {
    let expected = ["detect_failed_logins", "redact_pii"].map(|name| {
        let component = fs::read(env::plugin(name)?)?;
        Ok((name.to_owned(), files::sha256(component)))
    });
    let expected: Vec<_> = expected.into_iter().collect::<Result<_>>()?;
    let is_epoch = |summary: &&Value| summary["audit-host.epoch"].is_string();
    let epochs: Vec<_> = rows.summaries().iter().filter(is_epoch).collect();
    ensure!(!epochs.is_empty(), "no epoch");
    for summary in epochs {
        let plugins = summary["audit-host.plugins"].as_str().context("no plugins named")?;
        let plugins: Vec<Value> = serde_json::from_str(plugins)?;
        let named: Vec<_> = plugins
            .iter()
            .map(|p| (p["name"].as_str().unwrap_or(""), p["sha256"].as_str().unwrap_or("")))
            .map(|(name, sha256)| (name.to_owned(), sha256.to_owned()))
            .collect();
        assert_eq!(named, expected);
        for plugin in &plugins {
            ensure!(plugin["version"].as_str().is_some_and(|v| !v.is_empty()), "{plugin}");
        }
    }
    Ok(())
}

/// No value that the generator lists as personal data is in any column.
fn check_redaction(case: &Case) -> Result<()> {
    let rows = case.reader().grep(TABLE, &case.dir.join("pii.txt"))?;
    let found = &rows.0["grep"];
    ensure!(found["needles"].as_u64() > Some(100), "nothing to look for: {found}");
    ensure!(found["occurrences"] == 0, "personal data in the table: {}", found["by_column"]);
    Ok(())
}
