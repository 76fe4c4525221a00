//! Every misbehavior of `process`, set off by one row: that row becomes a dead letter with the reason, the
//! others are stored, and the plugin judges the next batch.

use anyhow::{Context, Result, ensure};
use audit_chain::Engine;
use audit_core::ReasonClass;
use serde_json::json;

use super::{chain, judge, reported, settled, source};

/// Rows of a batch: two halvings of a full byte of rows, and not a power of two.
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
    ("hash-endless", ""),
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
    ("split-character", "answered wrongly"),
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
    ("huge-column-name", ""),
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
    ("alert-undeclared-key", "which is no key column"),
    ("alert-many-labels", "fields, more than"),
];

/// What is odd and keeps the contract, or is cut to size: every row is stored.
const HARMLESS: &[(&str, &str)] = &[
    ("transform", "nothing"),
    ("transform", "busy"),
    ("transform", "grow-memory-at-once"),
    ("transform", "log-many"),
    ("transform", "log-nasty"),
    ("transform", "hash-bad-input"),
    ("transform", "hash-unknown-key"),
    ("transform", "null-with-value"),
    ("transform", "extreme-float"),
    ("detector", "alert"),
    ("detector", "alert-twice"),
    ("detector", "alert-count-max"),
    ("detector", "alert-nasty-message"),
    ("detector", "alert-huge-message"),
    ("detector", "alert-nasty-labels"),
    ("detector", "alert-many-events"),
    ("detector", "alert-foreign-events"),
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
    let config = json!({ "do": behavior, "at_offset": POISON });
    let mut chain = chain(engine, source(mode, &config)?)?;
    let judged = judge(&mut chain, 0, ROWS)?;
    let letters = settled(&judged, ROWS)?;
    let offsets: Vec<i64> = letters.keys().copied().collect();
    ensure!(offsets == [POISON], "dead letters: {letters:?}");
    let (class, reason) = &letters[&POISON];
    ensure!(*class == ReasonClass::PluginFault, "class {class}");
    ensure!(reason.to_lowercase().contains(&word.to_lowercase()), "reason: {reason}");
    ensure!(reason.len() <= 1024 && !reason.contains(char::is_control), "reason: {reason:?}");
    let message = reported(&mut chain, "plugin-fault").context("no alert")?;
    ensure!(message.contains("could not judge 1 rows"), "{message}");
    let next = judge(&mut chain, ROWS as i64, ROWS)?;
    ensure!(settled(&next, ROWS)?.is_empty(), "the next batch has dead letters");
    Ok(())
}

#[test]
fn what_keeps_the_contract_is_stored() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, behavior) in HARMLESS {
        let config = json!({ "do": behavior, "at_offset": POISON });
        let mut chain = chain(&engine, source(mode, &config)?)?;
        let judged = judge(&mut chain, 0, ROWS).with_context(|| (*behavior).to_owned())?;
        let letters = settled(&judged, ROWS)?;
        ensure!(letters.is_empty(), "{behavior} of a {mode}: {letters:?}");
        for alert in &judged.alerts {
            ensure!(!alert.message.contains(char::is_control), "{behavior}: {alert:?}");
            ensure!(alert.message.len() <= 1024 && alert.events.len() <= 100, "{behavior}");
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
