//! Every misbehavior of `process`, set off by one row: that row becomes a dead letter with the reason, the
//! others are stored, and the plugin judges the next batch.

use anyhow::{Context, Result, ensure};
use audit_chain::Engine;
use audit_core::ReasonClass;
use serde_json::json;

use super::{BATCH_TIME, chain, judge, reported, settled, source};

/// Rows of a batch: some bytes of validity, and not a power of two.
const ROWS: usize = 50;
/// The row that sets it off.
const POISON: i64 = 37;

/// A behavior, and a word that the reason of the dead letter must hold.
type Case = (&'static str, &'static str);

const TRANSFORM: &[Case] = &[
    ("trap", "trapped"),
    ("panic", "trapped"),
    ("panic-logged", "trapped"),
    ("divide-by-zero", "divide by zero"),
    ("out-of-bounds", "out of bounds memory access"),
    ("bad-function", "trapped"),
    ("spin", "took longer than"),
    ("recurse", "call stack exhausted"),
    ("recurse-memory", "trapped"),
    ("grow-memory", "took longer than"),
    ("allocate", "than"),
    ("log-endless", "took longer than"),
    ("has-key-endless", "took longer than"),
    ("hash-endless", "took longer than"),
    ("fault-transient", "a transient fault"),
    ("fault-bad-input", "bad input"),
    ("fault-other", "a fault"),
    ("short-column", "offsets for"),
    ("long-column", "offsets for"),
    ("no-offsets", "0 offsets for"),
    ("non-monotonic", "offset"),
    ("negative-offset", "offset"),
    ("offset-past-end", "offset"),
    ("first-offset-not-zero", "the first offset is not 0"),
    ("bytes-after-last-offset", "offset"),
    ("bad-utf8", "UTF-8"),
    ("split-character", "invalid output"),
    ("validity-short", "bytes of validity"),
    ("validity-long", "bytes of validity"),
    ("duplicate-columns", "columns, not the"),
    ("undeclared-column", "columns, not the"),
    ("missing-column", "columns, not the"),
    ("wrong-name", "where \"user_agent\" was declared"),
    ("nasty-name", "where \"user_agent\" was declared"),
    ("wrong-type", "type"),
    ("bad-boolean", "a boolean must be 0 or 1"),
    ("short-int64", "values for"),
    ("long-int32", "values for"),
    ("row-out-of-range", "quarantined of"),
    ("row-far-out-of-range", "quarantined of"),
    ("row-twice", "quarantined twice"),
    ("alert-from-transform", "an alert of a transform"),
    ("huge-column-name", "where \"user_agent\" was declared"),
    ("huge-quarantined", "fuel"),
    ("huge-alerts", "fuel"),
    ("huge-labels", "fuel"),
    ("huge-events", "fuel"),
    ("huge-columns", "fuel"),
    ("abi-list-out-of-bounds", "trapped"),
    ("abi-length-overflows", "trapped"),
    ("abi-list-unaligned", "trapped"),
    ("abi-bad-text", "utf-8"),
    ("abi-bad-severity", "trapped"),
    ("abi-bad-case", "trapped"),
    ("abi-bad-fault-case", "trapped"),
    ("abi-answer-out-of-bounds", "trapped"),
    ("abi-answer-unaligned", "trapped"),
    ("trap-after-answer", "trapped"),
    ("spin-after-answer", "took longer than"),
    ("log-after-answer", "trapped"),
];

const DETECTOR: &[Case] = &[
    ("trap", "trapped"),
    ("spin", "took longer than"),
    ("columns-from-detector", "columns, not the 0 declared"),
    ("alert-time-max", "out of range"),
    ("alert-time-min", "out of range"),
    ("too-many-alerts", "more than 1000"),
    ("alert-empty-rule", "whose rule has no name"),
    ("alert-nasty-rule", "whose rule has no name"),
    ("alert-huge-rule", "whose rule has no name"),
    ("alert-undeclared-key", "that is not a key column"),
    ("alert-many-labels", "fields, more than"),
];

/// What is odd and keeps the contract, or is cut to size: every row is stored, with so many alerts.
const HARMLESS: &[(&str, &str, usize)] = &[
    ("transform", "nothing", 0),
    ("describe-bad-schema", "nothing", 0),
    ("transform", "configure-reads-nothing", 0),
    ("transform", "append-mark", 0),
    ("transform", "busy", 0),
    ("transform", "grow-memory-at-once", 0),
    ("transform", "fill-memory", 0),
    ("transform", "log-many", 0),
    ("transform", "log-huge", 0),
    ("transform", "log-nasty", 0),
    ("transform", "hash-many", 0),
    ("transform", "hash-bad-input", 0),
    ("transform", "hash-unknown-key", 0),
    ("transform", "huge-column", 0),
    ("transform", "null-with-value", 0),
    ("transform", "extreme-float", 0),
    ("transform", "extreme-time", 0),
    ("detector", "alert", 1),
    ("detector", "alert-twice", 2),
    ("detector", "alert-count-max", 1),
    ("detector", "alert-times-reversed", 1),
    ("detector", "alert-key-twice", 1),
    ("detector", "alert-nasty-message", 1),
    ("detector", "alert-huge-message", 1),
    ("detector", "alert-nasty-labels", 1),
    ("detector", "alert-many-events", 1),
    ("detector", "alert-foreign-events", 1),
];

/// Calls that fail before the rows are there, as the host gets no memory for them.
const REALLOC: &[Case] = &[
    ("realloc-trap", "trapped"),
    ("realloc-spin", "took longer than"),
    ("realloc-log", "trapped"),
    ("realloc-null", "trapped"),
    ("realloc-out-of-bounds", "trapped"),
    ("realloc-unaligned", "trapped"),
];

/// Rows that the plugin takes out on purpose: how many, and what the reason must hold.
const QUARANTINED: &[(&str, usize, &str)] = &[
    ("quarantine", 1, "as asked"),
    ("quarantine-all", ROWS, "as asked"),
    ("quarantine-nasty", 1, "nasty"),
];

#[test]
fn one_poison_row_is_dead_lettered_with_its_reason() -> Result<()> {
    let engine = Engine::new()?;
    let transforms = TRANSFORM.iter().map(|case| ("transform", case));
    let detectors = DETECTOR.iter().map(|case| ("detector", case));
    let mut wrong = Vec::new();
    for (mode, (behavior, word)) in transforms.chain(detectors) {
        if let Err(error) = try_one(&engine, mode, behavior, word) {
            wrong.push(format!("{behavior} of a {mode}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn try_one(engine: &Engine, mode: &str, behavior: &str, word: &str) -> Result<()> {
    let mut config = json!({ "do": behavior, "at_offset": POISON });
    if behavior == "huge-column-name" {
        // The default may take longer than the short deadline of this suite.
        config["bytes"] = json!(1 << 20);
    }
    let mut plugin = source(mode, &config)?;
    if word == "fuel" {
        // The fuel for what is returned must end before the time does, on a busy machine as well.
        plugin.limits.batch_time = BATCH_TIME * 10;
    }
    let mut chain = chain(engine, plugin)?;
    let judged = judge(&mut chain, 0, ROWS)?;
    let letters = settled(&judged, ROWS)?;
    let offsets: Vec<i64> = letters.keys().copied().collect();
    ensure!(offsets == [POISON], "dead letters: {letters:?}");
    let (class, reason) = &letters[&POISON];
    ensure!(*class == ReasonClass::PluginFault, "class {class}");
    ensure!(reason.to_lowercase().contains(&word.to_lowercase()), "reason: {reason}");
    ensure!(reason.len() <= 1024 && !reason.contains(char::is_control), "reason: {reason:?}");
    let message = reported(&mut chain, "plugin-fault").context("no alert")?;
    ensure!(message.contains("failed on 1 rows"), "{message}");
    let next = judge(&mut chain, ROWS as i64, ROWS)?;
    ensure!(settled(&next, ROWS)?.is_empty(), "the next batch has dead letters");
    Ok(())
}

#[test]
fn what_keeps_the_contract_is_stored() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, behavior, n_alerts) in HARMLESS {
        let mut config = json!({ "do": behavior, "at_offset": POISON });
        match *behavior {
            // The defaults may take longer than the short deadline of this suite.
            "hash-many" => (config["n"], config["key"]) = (json!(10_000), json!("k")),
            "busy" => config["n"] = json!(10_000_000),
            "huge-column" => config["bytes"] = json!(8 << 20),
            _ => {}
        }
        let mut chain = chain(&engine, source(mode, &config)?)?;
        let judged = judge(&mut chain, 0, ROWS).with_context(|| (*behavior).to_owned())?;
        let letters = settled(&judged, ROWS)?;
        ensure!(letters.is_empty(), "{behavior} of a {mode}: {letters:?}");
        let n_found = judged.alerts.len();
        ensure!(n_found == *n_alerts, "{behavior} of a {mode}: {n_found} alerts");
        for alert in &judged.alerts {
            ensure!(!alert.message.contains(char::is_control), "{behavior}: {alert:?}");
            ensure!(alert.message.len() <= 1024 && alert.events.len() <= 100, "{behavior}");
        }
    }
    Ok(())
}

#[test]
fn a_guest_without_memory_for_its_arguments_costs_its_rows_and_no_more() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, (behavior, word)) in ["transform", "detector"]
        .iter()
        .flat_map(|mode| REALLOC.iter().map(move |case| (mode, case)))
    {
        let mut chain = chain(&engine, source(mode, &json!({ "do": behavior }))?)?;
        for first in [0, 3] {
            let letters = settled(&judge(&mut chain, first, 3)?, 3)?;
            ensure!(letters.len() == 3, "{behavior} of a {mode}: {letters:?}");
            for (class, reason) in letters.values() {
                ensure!(*class == ReasonClass::PluginFault, "{behavior} of a {mode}: {class}");
                ensure!(reason.contains(word), "{behavior} of a {mode}: {reason}");
            }
        }
        // It fails on everything.
        ensure!(reported(&mut chain, "plugin-down").is_some(), "{behavior} of a {mode}: no alert");
    }
    Ok(())
}

#[test]
fn quarantined_rows_are_dead_letters_with_the_reason_of_the_plugin() -> Result<()> {
    let engine = Engine::new()?;
    for mode in ["transform", "detector"] {
        for (behavior, n_rows, word) in QUARANTINED {
            let config = json!({ "do": behavior, "at_offset": POISON });
            let mut chain = chain(&engine, source(mode, &config)?)?;
            let letters = settled(&judge(&mut chain, 0, ROWS)?, ROWS)?;
            ensure!(letters.len() == *n_rows, "{behavior} of a {mode}: {letters:?}");
            ensure!(letters.contains_key(&POISON), "{behavior} of a {mode}: {letters:?}");
            for (class, reason) in letters.values() {
                ensure!(*class == ReasonClass::Quarantined, "{behavior} of a {mode}: {class}");
                ensure!(reason.contains(word), "{behavior} of a {mode}: {reason}");
                ensure!(reason.len() <= 1024 && !reason.contains(char::is_control), "{reason:?}");
            }
            let fault = reported(&mut chain, "plugin-fault");
            ensure!(fault.is_none(), "{behavior} of a {mode} counts as a fault: {fault:?}");
        }
    }
    Ok(())
}

#[test]
fn a_fault_that_passes_costs_no_row() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "fault-transient", "times": 1 });
    let mut chain = chain(&engine, source("transform", &config)?)?;
    let letters = settled(&judge(&mut chain, 0, ROWS)?, ROWS)?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}
