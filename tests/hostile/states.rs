//! Hostile snapshots and restores, states of other versions, and one state for each partition.

use anyhow::{Context, Result, ensure};
use audit_chain::{Engine, Place, Plugin, PluginChain, PluginSource, Scope};
use audit_core::stage::Chain;
use audit_core::{Change, ChangeKind, Judged, PluginChange, PluginState, TopicPartition};
use audit_tests::chain::asked;
use serde_json::json;

use super::{chain, halting, judge, reported, settled, source};
use crate::abi::batches;

const ROWS: usize = 100;

/// What the counting detector reports of its state at the last row of a batch.
fn seen(judged: &Judged) -> Result<(u64, String)> {
    let alert = judged.alerts.last().context("no alert")?;
    ensure!(alert.labels["again"] == "0", "a row came twice: {:?}", alert.labels);
    Ok((alert.count, alert.labels["sum"].clone()))
}

fn counting(mode: &str) -> Result<PluginSource> {
    source(mode, &json!({ "do": "count", "alert_every": 1 }))
}

#[test]
fn a_snapshot_that_fails_costs_the_state_and_not_the_stream() -> Result<()> {
    let engine = Engine::new()?;
    for how in ["snapshot-trap", "snapshot-spin"] {
        let mut chain = chain(&engine, source("detector", &json!({ "do": how }))?)?;
        ensure!(settled(&judge(&mut chain, 0, ROWS)?, ROWS)?.is_empty());
        ensure!(chain.snapshot()?.is_empty(), "{how}: a state came out");
        let message = reported(&mut chain, "detector-state-lost").context("no alert")?;
        ensure!(message.contains("snapshot"), "{message}");
        ensure!(settled(&judge(&mut chain, 100, ROWS)?, ROWS)?.is_empty(), "{how}");
    }
    let config = json!({ "do": "snapshot-trap" });
    let mut chain = chain(&engine, halting(source("detector", &config)?))?;
    judge(&mut chain, 0, ROWS)?;
    let error = anyhow::Error::from(chain.snapshot().err().context("it went on")?);
    let error = format!("{error:#}");
    ensure!(error.contains("snapshot"), "{error}");
    Ok(())
}

/// Nothing is known of it before it is needed: after a failed call, or at the next start.
#[test]
fn a_snapshot_that_its_own_guest_refuses_costs_the_state_and_not_the_stream() -> Result<()> {
    let engine = Engine::new()?;
    for how in ["snapshot-empty", "snapshot-different"] {
        let config = json!({ "do": how, "trap_at": 150, "alert_at": 199 });
        let mut chain = chain(&engine, source("detector", &config)?)?;
        ensure!(settled(&judge(&mut chain, 0, ROWS)?, ROWS)?.is_empty(), "{how}");
        let states = chain.snapshot()?;
        ensure!(states.len() == 1, "{how}: {} states", states.len());

        let judged = judge(&mut chain, 100, ROWS)?;
        let letters = settled(&judged, ROWS)?;
        ensure!(letters.keys().copied().eq([150]), "{how}: {letters:?}");
        reported(&mut chain, "detector-state-lost").with_context(|| format!("{how}: no alert"))?;
        // It begins anew, and from there on it has seen every row but the poison row, once.
        let sum: u64 = (100..200).sum::<u64>() - 150;
        ensure!(seen(&judged)? == (99, sum.to_string()), "{how}: {:?}", judged.alerts);

        let restarted = super::chain(&engine, source("detector", &config)?)?.restore(&states);
        ensure!(restarted.is_err(), "{how}: a start took the state");
    }
    Ok(())
}

#[test]
fn a_huge_snapshot_is_kept_and_nothing_else_breaks() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "snapshot-huge", "bytes": 20 << 20 });
    let mut chain = chain(&engine, source("detector", &config)?)?;
    judge(&mut chain, 0, ROWS)?;
    let states = chain.snapshot()?;
    ensure!(states.len() == 1 && states[0].bytes.len() >= 20 << 20, "{} states", states.len());
    Ok(())
}

#[test]
fn a_state_that_is_refused_stops_the_start_by_name() -> Result<()> {
    let engine = Engine::new()?;
    let mut first = chain(&engine, counting("detector")?)?;
    judge(&mut first, 0, ROWS)?;
    let states = first.snapshot()?;
    for (how, word) in [
        ("restore-trap", "trapped"),
        ("restore-spin", "took longer than"),
        ("restore-refuse-version", "does not support state version 1"),
        ("restore-corrupt", "corrupt"),
        ("restore-corrupt-nasty", "corrupt"),
    ] {
        let mut next = chain(&engine, source("detector", &json!({ "do": how }))?)?;
        let error = format!("{:#}", next.restore(&states).err().context(how)?);
        ensure!(error.contains(word) && error.contains("hostile detector"), "{how}: {error}");
        ensure!(!error.contains(char::is_control), "{how}: {error:?}");
    }
    Ok(())
}

/// A state of version 1 goes on in a plugin that knows it, and is refused by one that does not.
#[test]
fn a_swap_moves_the_state_or_does_not_happen() -> Result<()> {
    let engine = Engine::new()?;
    let mut chain = chain(&engine, counting("detector")?)?;
    judge(&mut chain, 0, ROWS)?;
    let before = chain.plugins();

    let refused = swap(&mut chain, Plugin::load(&engine, counting("state-version-9")?)?);
    let error = format!("{:#}", refused.err().context("version 9 took a state of version 1")?);
    ensure!(error.contains("does not support state version 1"), "{error}");
    ensure!(chain.plugins() == before, "the old plugin is gone");
    ensure!(seen(&judge(&mut chain, 100, ROWS)?)?.0 == 200, "the old plugin forgot");

    let changes = swap(&mut chain, Plugin::load(&engine, counting("state-version-2")?)?)?;
    let judged = judge(&mut chain, 200, ROWS)?;
    let sum: u64 = (0..300).sum();
    ensure!(seen(&judged)? == (300, sum.to_string()), "{:?}", judged.alerts.last());
    let change = changes.last().context("nothing was recorded")?;
    ensure!(change.kind == ChangeKind::Replaced, "{change:?}");
    let at = TopicPartition::new(&"conformance".into(), 0);
    ensure!(change.from[&at] == 200, "{change:?}");
    Ok(())
}

/// A detector whose snapshot fails can still be swapped: its rows are judged again.
#[test]
fn a_detector_that_cannot_be_saved_can_be_swapped() -> Result<()> {
    let engine = Engine::new()?;
    let mut chain = chain(&engine, source("detector", &json!({ "do": "snapshot-trap" }))?)?;
    judge(&mut chain, 0, ROWS)?;
    swap(&mut chain, Plugin::load(&engine, counting("detector")?)?)?;
    let sum: u64 = (0..200).sum();
    ensure!(seen(&judge(&mut chain, 100, ROWS)?)? == (200, sum.to_string()));
    Ok(())
}

/// Asks for a swap as the reload thread does, and lets the chain carry it out.
fn swap(chain: &mut PluginChain, plugin: Plugin) -> Result<Vec<PluginChange>> {
    let control = chain.control();
    let (arranged, recorded) = asked(chain, move || {
        control.arrange(vec![Place::New(Box::new(plugin))], "a test".to_owned())
    })?;
    arranged?;
    Ok(recorded.iter().filter_map(Change::as_plugin).cloned().collect())
}

#[test]
fn each_partition_has_a_state_of_its_own() -> Result<()> {
    let engine = Engine::new()?;
    let scoped = || -> Result<PluginSource> {
        let keyed_by = vec!["source_partition".to_owned()];
        Ok(PluginSource { scope: Scope::Partition, keyed_by, ..counting("detector")? })
    };
    let mut chain = chain(&engine, scoped()?)?;
    for partition in [0, 1] {
        let judged = chain.judge(batches::ordinary_of(partition, 0, ROWS)?)?;
        let sum: u64 = (0..100).sum();
        ensure!(seen(&judged)? == (100, sum.to_string()), "partition {partition}");
    }
    let states = chain.snapshot()?;
    let of: Vec<_> = states.iter().map(|s| s.partition.as_ref().map(|p| p.partition)).collect();
    ensure!(of == [Some(0), Some(1)], "{of:?}");

    let mut restored = super::chain(&engine, scoped()?)?;
    restored.restore(&states)?;
    let judged = restored.judge(batches::ordinary_of(1, 100, ROWS)?)?;
    ensure!(seen(&judged)?.0 == 200);

    // A state of the other scope was fed by other rows.
    let merged: Vec<PluginState> =
        states.iter().map(|s| PluginState { partition: None, ..s.clone() }).collect();
    let error = super::chain(&engine, scoped()?)?.restore(&merged).err().context("taken")?;
    ensure!(error.to_string().contains("scope = \"merged\""), "{error}");
    let unkeyed = PluginSource { scope: Scope::Partition, ..counting("detector")? };
    let error = super::refusal(&engine, unkeyed)?;
    ensure!(error.contains("keyed-by"), "{error}");
    Ok(())
}
