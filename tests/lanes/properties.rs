//! Properties of ours that are torn, of a newer program, or of an older one.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use audit_tests::broker;
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::env;
use audit_tests::json::text;
use serde_json::{Value, json};

use super::metadata::{current, edit, properties, set_property, snapshots};
use super::{
    AT_ONCE, FAILED, GROUP, Lane, USAGE, check_error, check_exactly_once, check_origins, filled,
    property, rest, send_events,
};

const FORMAT: &str = "audit-host.format";

#[test]
fn a_property_that_is_torn_is_named() -> Result<()> {
    let case = filled("lanes-torn")?;
    send_events(&case, 10)?;
    let offset = format!("audit-host.{GROUP}.{}.0", case.topic);
    for (table, name, value) in [
        (TABLE, property("lane.all"), "x"),
        (TABLE, property("lane.all"), "ledger-0/0123456789ab:many"),
        (TABLE, offset, "abc"),
        (TABLE, property("pending.0123"), "no JSON"),
        (TABLE, property("topics"), "no JSON"),
        (TABLE, property("witness"), "no JSON"),
        (DEAD_LETTERS, property("done.all"), "x"),
    ] {
        let whole = set_property(&case, table, &name, Some(value))?;
        let refused = rest(&case)?.run()?;
        check_error(&name, &refused, &[FAILED, USAGE], &[&name])?;
        ensure!(refused.elapsed < AT_ONCE, "{name}: it took {:?}", refused.elapsed);
        // What a start wrote before it was refused stays.
        set_property(&case, table, &name, whole.as_deref())?;
    }
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_table_of_a_newer_format_is_left_alone() -> Result<()> {
    let case = filled("lanes-newer")?;
    send_events(&case, 10)?;
    let found = current(&case, TABLE)?["properties"][FORMAT].clone();
    ensure!(found == "2", "its format is {found}");
    for table in [TABLE, DEAD_LETTERS] {
        let ours = set_property(&case, table, FORMAT, Some("3"))?;
        let refused = rest(&case)?.run()?;
        let words = [table, "format", "3", "newer|upgrade|version"];
        check_error("a newer table", &refused, &[USAGE], &words)?;
        set_property(&case, table, FORMAT, ours.as_deref())?;
    }
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

/// What format 1 did not have.
fn is_of_format_2(key: &str) -> bool {
    const PROPERTIES: [&str; 7] = [
        "..lane.",
        "..holder.",
        "..topics",
        "..witness",
        "..leader-epoch.",
        "..done.",
        "..letters.",
    ];
    const KEYS: [&str; 7] = [
        FORMAT,
        "audit-host...history",
        "audit-host...garbage",
        "audit-host.lane",
        "audit-host.sequence",
        "audit-host.state",
        "audit-host.outbox",
    ];
    KEYS.contains(&key)
        || key == "audit-host.claim"
        || key.starts_with("audit-host.") && PROPERTIES.iter().any(|part| key.contains(part))
}

/// Leaves of a table what the program before format 2 would have left.
fn to_format_1(case: &Case, table: &str) -> Result<()> {
    edit(case, table, |metadata| {
        properties(metadata)?.retain(|key, _| !is_of_format_2(key));
        for snapshot in metadata["snapshots"].as_array_mut().into_iter().flatten() {
            if let Some(summary) = snapshot["summary"].as_object_mut() {
                summary.retain(|key, _| !is_of_format_2(key));
            }
        }
        if table == DEAD_LETTERS {
            let mut epochs =
                snapshots(metadata).into_iter().map(|one| &one["summary"]["audit-host.epoch"]);
            let last = epochs.rfind(|epoch| epoch.is_string()).map(text);
            metadata["properties"][property("epoch")] = json!(last);
        }
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_table_of_format_1_is_taken_over_as_it_is() -> Result<()> {
    let case = Case::new("lanes-format-1", 1)?;
    let plugin = env::plugin("detect_failed_logins")?;
    let detecting = rest(&case)?.args(&["--plugin", &plugin]);
    let failed = |n: usize| {
        let event = json!({
            "event_timestamp": format!("2025-06-02T09:00:{n:02}Z"), "user_id": "mallory",
            "action_type": "user_login", "action_result": "failure", "ip_address": "198.51.100.7",
        });
        (0, Some(event.to_string().into_bytes()))
    };
    let bad = || (0, Some(b"no event".to_vec()));
    broker::send(&case.topic, (0..3).map(failed).chain([bad()]))?;
    detecting.succeed()?;
    for table in [TABLE, DEAD_LETTERS] {
        to_format_1(&case, table)?;
    }
    broker::send(&case.topic, (3..6).map(failed).chain([bad()]))?;
    let second = detecting.succeed()?;

    let rows = [0, 1, 2, 4, 5, 6].map(|offset| (0, offset));
    check_origins(&case, &rows.into(), TABLE)?;
    check_origins(&case, &[(0, 3), (0, 7)].into(), DEAD_LETTERS)?;
    // Six failures are an attack: the state of the first three was taken over.
    let of_attack = |alert: &Value| text(&alert["key"]["ip_address"]) == "198.51.100.7";
    let ids: BTreeSet<_> = case
        .alerts()?
        .iter()
        .filter(|alert| of_attack(alert))
        .map(|one| text(&one["id"]))
        .collect();
    ensure!(ids.len() == 1, "alerts: {ids:?}");
    let now = current(&case, TABLE)?;
    ensure!(now["properties"][FORMAT] == "2", "its format is {}", now["properties"][FORMAT]);
    Lane::parse(&text(&now["properties"][property("lane.all")]))?;
    // Nobody waits for a lease that the table does not know.
    ensure!(second.elapsed < AT_ONCE, "it took {:?}", second.elapsed);
    Ok(())
}
