//! What came of a value is remembered while values repeat, and must be forgotten with the configuration: one outcome
//! for each value, column, subject and configuration, and that of the configuration that judged the row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use audit_tests::broker;
use audit_tests::case::{Case, TABLE};
use audit_tests::files::put;
use audit_tests::json::text;
use audit_tests::program::{LIMIT, wait_for, wait_until};
use serde_json::{Value, json};

use crate::hostile::grants::{EMAIL, LOADED, end, started};

const CARD: &str = "4111111111111111";
const ADDRESS: &str = "203.0.113.9";
const AGENTS: [&str; 4] = [EMAIL, "plain", CARD, ""];
const RESOURCES: [&str; 4] = [EMAIL, "plain", ADDRESS, CARD];
const SUBJECTS: [Option<&str>; 3] = [Some("u1"), Some("u2"), None];
/// `free-text-action`, one after the other.
const ACTIONS: [&str; 4] = ["redact", "encrypt", "token", "redact"];
const N_PARTITIONS: usize = 8;
/// Records of a partition under each configuration: all together, each combination of values 21 times.
const N_EACH: usize = 126;
const N_EVENTS: usize = N_EACH * N_PARTITIONS;

/// The values of the nth record of a configuration: subject, user agent, resource.
fn values(n: usize) -> (Option<&'static str>, &'static str, &'static str) {
    let at = n / SUBJECTS.len();
    let (agent, resource) = (AGENTS[at % 4], RESOURCES[at / 4 % 4]);
    (SUBJECTS[n % SUBJECTS.len()], agent, resource)
}

fn send(case: &Case) -> Result<()> {
    let record = |n: usize| {
        let (subject, agent, resource) = values(n);
        let event = json!({
            "event_timestamp": "2025-01-16T08:00:00Z", "action_type": "a", "user_id": subject,
            "user_agent": agent, "resource_name": resource,
            "details": format!("{{\"granted_to\":\"{EMAIL}\",\"x\":\"{CARD}\"}}"),
        });
        ((n % N_PARTITIONS) as i32, Some(event.to_string().into_bytes()))
    };
    broker::send(&case.topic, (0..N_EVENTS).map(record))
}

fn config(case: &Case, action: &str) -> String {
    format!(
        "[keys.k]\nfile = {:?}\n[[plugin]]\npath = \"builtin:redact_pii\"\nkeys = [\"k\"]\n\
         config = {{ token-key = \"k\", encryption-key = \"k\", subject = \"user_id\", \
         free-text-action = {action:?}, fields = {{ user_agent = \"encrypt\" }} }}\n",
        case.path("key"),
    )
}

/// The page of the plugin says what becomes of a value that is found.
fn is_as_documented(action: &str, subject: Option<&str>, value: &str, found: &str) -> bool {
    let form = |prefix: &str, n_parts: usize, separator: char| {
        found.starts_with(prefix) && found.split(separator).count() == n_parts
    };
    match (action, value) {
        (_, "plain") => found == "plain",
        ("redact", EMAIL) => found == "[EMAIL]",
        ("redact", CARD) => found == "[CARD]",
        ("redact", ADDRESS) => found == "[IP]",
        ("token", _) => form("tok_", 3, '_') && found.len() > 26,
        ("encrypt", _) if subject.is_some() => form("enc_v1.", 3, '.'),
        ("encrypt", _) => found == "[REDACTED]",
        _ => false,
    }
}

/// Every outcome that a value had, by configuration, column, subject and value.
type Outcomes =
    BTreeMap<(usize, &'static str, Option<&'static str>, &'static str), BTreeSet<String>>;

fn outcomes(rows: &[Value]) -> Result<Outcomes> {
    let number = |value: &Value| -> Result<usize> {
        Ok(usize::try_from(value.as_u64().context("a row without its origin")?)?)
    };
    let mut outcomes = Outcomes::new();
    for row in rows.iter().filter(|row| !row["source_offset"].is_null()) {
        let (at, offset) = (number(&row["source_partition"])?, number(&row["source_offset"])?);
        let phase = offset / N_EACH;
        let (subject, agent, resource) = values(offset % N_EACH * N_PARTITIONS + at);
        ensure!(row["user_id"].as_str() == subject, "{row} is not of {subject:?}");
        let details: Value = serde_json::from_str(&text(&row["details"]))?;
        for (column, value, found) in [
            ("user_agent", agent, &row["user_agent"]),
            ("resource_name", resource, &row["resource_name"]),
            ("details.granted_to", EMAIL, &details["granted_to"]),
            ("details.x", CARD, &details["x"]),
        ] {
            let all = outcomes.entry((phase, column, subject, value)).or_default();
            all.insert(text(found));
        }
    }
    Ok(outcomes)
}

fn check(outcomes: &Outcomes) -> Result<()> {
    let mut ciphers = BTreeMap::new();
    for (key @ (phase, column, subject, value), found) in outcomes {
        let (1, Some(found)) = (found.len(), found.first()) else {
            anyhow::bail!("{key:?} has the outcomes {found:?}");
        };
        let action = match *column {
            "user_agent" => "encrypt",
            "details.granted_to" => "token",
            _ => ACTIONS[*phase],
        };
        // A whole column has its action also where it holds nothing to find.
        let is_whole = *column == "user_agent";
        let expected = match (is_whole, *value) {
            (true, "") => true,
            (true, _) => is_as_documented(action, *subject, CARD, found),
            (false, _) => is_as_documented(action, *subject, value, found),
        };
        ensure!(expected, "{key:?} became {found:?} by {action}");
        if found.starts_with("enc_") {
            let of = (*column, *subject, *value);
            let other = ciphers.insert(found.clone(), of);
            ensure!(other.is_none_or(|other| other == of), "{found} is of {other:?} and of {of:?}");
        }
    }
    ensure!(!ciphers.is_empty(), "nothing was encrypted");
    Ok(())
}

#[test]
fn a_reload_forgets_what_came_of_values() -> Result<()> {
    let case = Case::new("strangers-outcomes", N_PARTITIONS as i32)?;
    fs::write(case.dir.join("key"), "0123456789abcdef0123456789abcdef")?;
    let running = started(&case, &config(&case, ACTIONS[0]))?;
    for (phase, action) in ACTIONS.iter().enumerate() {
        if phase > 0 {
            put(&case.dir.join("audit-host.toml"), config(&case, action))?;
            wait_for(&running, LOADED, phase)?;
        }
        send(&case)?;
        let n_rows = || Ok::<_, anyhow::Error>(case.reader().record_origins(TABLE)?.len());
        let is_stored = || Ok(n_rows()? == (phase + 1) * N_EVENTS);
        wait_until(&format!("the events of configuration {phase}"), LIMIT, is_stored)?;
    }
    end(running)?;
    let columns =
        ["source_partition", "source_offset", "user_id", "user_agent", "resource_name", "details"];
    let (_, rows) = case.reader().rows(TABLE, &columns)?;
    let raw =
        rows.iter().find(|row| row.to_string().contains(EMAIL) || row.to_string().contains(CARD));
    ensure!(raw.is_none(), "stored raw: {raw:?}");
    let outcomes = outcomes(&rows)?;
    let n_values = SUBJECTS.len() * (AGENTS.len() + RESOURCES.len() + 2);
    ensure!(outcomes.len() == ACTIONS.len() * n_values, "{} values", outcomes.len());
    check(&outcomes)?;
    for ((phase, column, subject, value), first) in &outcomes {
        let again = outcomes.get(&(ACTIONS.len() - 1, *column, *subject, *value));
        ensure!(*phase > 0 || again == Some(first), "{value:?} became {first:?}, then {again:?}");
    }
    Ok(())
}
