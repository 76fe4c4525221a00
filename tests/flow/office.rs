//! The whole product at once: an office under every attack, on its way through a broker in disorder; all
//! eight plugins with the configuration and the tables that the generator writes.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use audit_generate::{Label, Outcome};
use audit_tests::broker;
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::{json_lines, text};
use audit_tests::program::Program;
use jiff::Timestamp;
use serde_json::Value;

const N_EVENTS: &str = "60000";
/// A rule without labels of its own: it follows one that is labelled.
const ESCALATED: &str = "unusual-volume-escalated";
/// What `enrich_context` adds: some of it the office's tables know.
const ADDED: [&str; 4] = ["actor_role", "ip_network", "ip_class", "business_hours"];

/// Rule, key and the micros between which it happened.
struct Found {
    rule: String,
    key: String,
    span: (i64, i64),
}

fn found(alert: &Value) -> Result<Found> {
    let micros = |name: &str| -> Result<i64> {
        let time: Timestamp = text(&alert[name]).parse().with_context(|| alert.to_string())?;
        Ok(time.as_microsecond())
    };
    let key = alert["key"].as_object().context("an alert without a key")?;
    let rule = text(&alert["rule"]);
    Ok(Found {
        rule: if rule == ESCALATED { "unusual-volume".to_owned() } else { rule },
        key: key.values().map(text).collect::<Vec<_>>().join("/"),
        span: (micros("window_start")?.min(micros("first_event")?), micros("last_event")?),
    })
}

fn is_about(found: &Found, label: &Label) -> bool {
    // The fields of a key are in the order of their names here, and in the rule's order in the label.
    let parts = |key: &str| key.split('/').map(str::to_owned).collect::<BTreeSet<_>>();
    found.rule == label.rule
        && parts(&found.key) == parts(&label.key)
        && found.span.0 <= label.last_event
        && label.first_event <= found.span.1
}

fn generate(case: &Case) -> Result<Vec<Label>> {
    let args = ["generate", "--population", "office", "--attacks", "all", "--disorder", "all"];
    let (labels, folder) = (case.path("labels.jsonl"), case.dir.display().to_string());
    Program::new(&case.dir, &args)
        .args(&["--count", N_EVENTS, "--seed", "71", "--kafka-time", "generated"])
        .args(&["--labels", &labels, "--lookups", &folder])
        .args(&["--to", "kafka", "--brokers", &broker::brokers()?, "--topic", &case.topic])
        .succeed()?;
    let lines = json_lines(&case.dir.join("labels.jsonl"))?;
    lines.into_iter().map(|line| Ok(serde_json::from_value(line)?)).collect()
}

#[test]
fn an_office_under_attack_is_alerted_to_every_attack_and_to_nothing_else() -> Result<()> {
    let case = Case::new("office", 1)?;
    let labels = generate(&case)?;
    let host = case.host()?.args(&["--config", "audit-host.toml", "--until-end"]);
    host.succeed()?;

    let (table, rows) = case.reader().rows(TABLE, &ADDED)?;
    ensure!(table.n_rows()? == case.offsets()?.len() as u64, "{} rows", table.n_rows()?);
    ensure!(table.agreed("distinct_origins")? == table.n_rows()?, "a row is there twice");
    ensure!(case.reader().read(DEAD_LETTERS)?.n_rows()? == 0, "there are dead letters");
    for column in ADDED {
        let n_known = rows.iter().filter(|row| !row[column].is_null()).count();
        ensure!(n_known * 2 > rows.len(), "{column} is known of {n_known} rows only");
    }
    check_alerts(&case, &labels)
}

fn check_alerts(case: &Case, labels: &[Label]) -> Result<()> {
    let alerts = case.alerts()?;
    let found = alerts.iter().map(found).collect::<Result<Vec<_>>>()?;
    let expected = |outcome| labels.iter().filter(move |label| label.expect == outcome);
    let rules: BTreeSet<_> = expected(Outcome::Alert).map(|label| &label.rule).collect();
    ensure!(rules.len() >= 8, "attacks on few rules only: {rules:?}");
    let is_found = |label: &&Label| found.iter().any(|found| is_about(found, label));
    let missed: Vec<_> = expected(Outcome::Alert).filter(|label| !is_found(label)).collect();
    ensure!(missed.is_empty(), "not found: {missed:#?}");
    ensure!(expected(Outcome::Silence).next().is_some(), "nothing that only looks like an attack");
    let fallen_for: Vec<_> = expected(Outcome::Silence).filter(is_found).collect();
    ensure!(fallen_for.is_empty(), "fell for: {fallen_for:#?}");
    for (alert, found) in alerts.iter().zip(&found) {
        let is_right = expected(Outcome::Alert).any(|label| is_about(found, label));
        ensure!(is_right, "nothing called for {alert}");
        ensure!(!alert.to_string().contains('@'), "an address in {alert}");
        ensure!(alert["labels"]["attack"].is_string(), "no technique in {alert}");
        ensure!(alert["events"].as_array().is_some_and(|events| !events.is_empty()), "{alert}");
    }
    Ok(())
}
