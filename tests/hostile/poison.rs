//! The search for poison rows, and `on-error` for those that are found.

use anyhow::{Context, Result, ensure};
use audit_chain::{Engine, OnError, PluginSource};
use serde_json::json;

use super::{chain, halting, judge, refusal, reported, settled, source};

const ROWS: usize = 4096;

#[test]
fn several_poison_rows_are_found_among_thousands() -> Result<()> {
    let engine = Engine::new()?;
    let poison = [0, 1, 777, 2048, 4095];
    let config = json!({ "do": "trap", "at_offset": poison });
    let mut chain = chain(&engine, source("transform", &config)?)?;
    let letters = settled(&judge(&mut chain, 0, ROWS)?, ROWS)?;
    ensure!(letters.keys().copied().eq(poison), "{letters:?}");
    Ok(())
}

#[test]
fn a_detector_sees_every_other_row_exactly_once() -> Result<()> {
    let engine = Engine::new()?;
    for how in ["trap_at", "spin_at", "fault_at", "dirty_fault_at", "bad_answer_at"] {
        let at = 1000;
        let config = json!({ "do": "count", how: [at], "alert_at": [8191] });
        let mut chain = chain(&engine, source("detector", &config)?)?;
        let letters = settled(&judge(&mut chain, 0, ROWS)?, ROWS)?;
        ensure!(letters.keys().copied().eq([at]), "{how}: {letters:?}");
        let judged = judge(&mut chain, ROWS as i64, ROWS)?;
        let alert = judged.alerts.first().with_context(|| format!("{how}: no alert"))?;
        let n_seen = 2 * ROWS as u64 - 1;
        let sum = n_seen * (n_seen + 1) / 2 - at as u64;
        ensure!(alert.count == n_seen, "{how}: it counts {} rows of {n_seen}", alert.count);
        ensure!(alert.labels["sum"] == sum.to_string(), "{how}: {:?}", alert.labels);
        ensure!(alert.labels["again"] == "0", "{how}: a row came twice: {:?}", alert.labels);
    }
    Ok(())
}

/// A detector has counted the rows that it judged: their alerts hold, however many rows of the batch fail.
#[test]
fn alerts_of_good_parts_are_reported_although_other_parts_fail() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "count", "alert_every": 1, "trap_at": [4095] });
    let mut chain = chain(&engine, source("detector", &config)?)?;
    let judged = judge(&mut chain, 0, ROWS)?;
    ensure!(judged.alerts.len() == ROWS - 1, "{} alerts", judged.alerts.len());
    let letters = settled(&judged, ROWS)?;
    ensure!(letters.keys().copied().eq([4095]), "{letters:?}");
    Ok(())
}

#[test]
fn halt_ends_the_run_and_names_the_record() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "at_offset": 7 });
    let mut chain = chain(&engine, halting(source("transform", &config)?))?;
    let error = format!("{:#}", judge(&mut chain, 0, 50).err().context("it went on")?);
    for word in ["hostile transform", "conformance[0]@7", "on-error is \"halt\"", "trapped"] {
        ensure!(error.contains(word), "{error}");
    }
    Ok(())
}

#[test]
fn pass_is_for_plugins_that_replace_nothing() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "at_offset": 7 });
    let passing = |mode| -> Result<PluginSource> {
        Ok(PluginSource { on_error: OnError::Pass, ..source(mode, &config)? })
    };
    let error = refusal(&engine, passing("transform")?)?;
    ensure!(error.contains("on-error = \"pass\"") && error.contains("user_agent"), "{error}");
    let mut chain = chain(&engine, passing("detector")?)?;
    ensure!(settled(&judge(&mut chain, 0, 50)?, 50)?.is_empty(), "a row is a dead letter");
    ensure!(reported(&mut chain, "plugin-fault").is_some(), "no alert");
    Ok(())
}
