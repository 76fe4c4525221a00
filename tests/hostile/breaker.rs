//! The breaker: a producer of bad rows costs others time, and never a row.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use audit_chain::{Engine, Limits, OnError, Place, Plugin, PluginChain, PluginSource};
use audit_core::stage::{Chain, Progress};
use audit_core::{ChangeKind, Judged, ReasonClass, Remaining};
use audit_tests::chain::asked;
use audit_tests::program::wait_until;
use serde_json::json;

use super::{BATCH_TIME, PAUSE, chain, halting, judge, reported, settled, source};
use crate::abi::batches;

const ROWS: usize = 4096;

fn with_limits(source: PluginSource, poison_rows: usize, breaker_pause: Duration) -> PluginSource {
    let limits = Limits { poison_rows, breaker_pause, ..source.limits };
    PluginSource { limits, ..source }
}

/// The kinds of changes since the last call.
fn changes(chain: &mut PluginChain) -> Vec<ChangeKind> {
    chain.take_changes().of_plugins().map(|change| change.kind).collect()
}

/// 65 rows that never return, in one batch or one after the other.
#[test]
fn rows_of_one_producer_cost_nobody_else_a_row() -> Result<()> {
    let engine = Engine::new()?;
    let in_a_row: Vec<i64> = (1000..1065).collect();
    let spread: Vec<i64> = (0..65).map(|idx| idx * 61).collect();
    for bad in [in_a_row, spread] {
        let config = json!({ "do": "spin", "at_offset": bad });
        let mut chain = chain(&engine, source("transform", &config)?)?;
        let began = Instant::now();
        let letters = settled(&judge(&mut chain, 0, ROWS)?, ROWS)?;
        ensure!(letters.keys().copied().eq(bad), "{:?}", letters.keys());
        // On a slow machine it closes before the batch ends.
        ensure!(changes(&mut chain).first() == Some(&ChangeKind::BreakerOpened));
        // Three times the time of a batch until it opens, and then two short deadlines for a bad row: some more where
        // the machine is busy.
        let max = BATCH_TIME * 4 + Duration::from_millis(200) * 65;
        ensure!(began.elapsed() < max, "it took {:?}", began.elapsed());
        ensure!(settled(&judge(&mut chain, ROWS as i64, ROWS)?, ROWS)?.is_empty());
    }
    Ok(())
}

/// The batch is rolled back where the breaker opens, and again where a part has no row that succeeds.
#[test]
fn no_row_reaches_a_state_twice_while_breakers_are_open() -> Result<()> {
    let engine = Engine::new()?;
    let bad: Vec<i64> = (100..300).chain([4095]).collect();
    let counting = |mode, trap_at: &[i64]| {
        let config = json!({ "do": "count", "trap_at": trap_at, "alert_at": [5000] });
        Ok::<_, anyhow::Error>(with_limits(source(mode, &config)?, 20, PAUSE))
    };
    // The first detector sees every row, the second fails on some, and so does the third.
    let others: Vec<i64> = (310..340).collect();
    let mut chain = PluginChain::new(vec![
        Plugin::load(&engine, counting("detector", &[])?)?,
        Plugin::load(&engine, counting("detector+b", &bad)?)?,
        Plugin::load(&engine, counting("detector+c", &others)?)?,
    ])?;
    let judged = judge(&mut chain, 0, ROWS)?;
    let letters = settled(&judged, ROWS)?;
    let expected: BTreeSet<i64> = bad.iter().chain(&others).copied().collect();
    ensure!(letters.keys().copied().eq(expected.iter().copied()), "{:?}", letters.keys());
    let judged = judge(&mut chain, ROWS as i64, ROWS)?;
    // Up to the row with offset 5000. A row that one fails on does not come to the next.
    let seen = [5001, 5001 - bad.len(), 5001 - expected.len()];
    for (alert, n_seen) in judged.alerts.iter().zip(seen) {
        ensure!(alert.count == n_seen as u64, "{}: {} of {n_seen}", alert.plugin.name, alert.count);
        ensure!(alert.labels["again"] == "0", "a row came twice: {:?}", alert.labels);
    }
    ensure!(judged.alerts.len() == 3, "{} alerts", judged.alerts.len());
    Ok(())
}

/// Judges as the pipeline does, and stops when nothing was judged and it must wait.
fn until_held(
    chain: &mut PluginChain,
    mut remaining: Remaining,
) -> Result<(usize, Option<Remaining>)> {
    let mut n_judged = 0;
    loop {
        let Progress { judged, rest, wait } = chain.judge_some(remaining)?;
        n_judged += judged.map_or(0, |judged| judged.covered.n_records() as usize);
        match rest {
            Some(rest) if wait.is_zero() => remaining = rest,
            rest => return Ok((n_judged, rest)),
        }
    }
}

/// A plugin that fails on everything, and did not before: rows wait for it, and none is lost if it recovers.
#[test]
fn rows_wait_for_a_plugin_that_is_down_and_a_reload_frees_them() -> Result<()> {
    let engine = Engine::new()?;
    let down: Vec<i64> = (100..100 + ROWS as i64).collect();
    let mut chain =
        chain(&engine, source("detector", &json!({ "do": "count", "alert_at": [200] }))?)?;
    ensure!(settled(&judge(&mut chain, 0, 100)?, 100)?.is_empty());
    // Another version takes over, which fails on all that comes.
    let times = json!({ "do": "count", "trap_at": down });
    swap(&mut chain, Plugin::load(&engine, long_pause(source("detector", &times)?))?)?;
    let (n_judged, rest) = until_held(&mut chain, batches::ordinary_from(100, ROWS)?.into())?;
    ensure!(n_judged == 0, "{n_judged} records were judged or given up");
    let rest = rest.context("nothing is left")?;
    ensure!(rest.n_records() == ROWS, "{} records are left", rest.n_records());
    ensure!(changes(&mut chain).contains(&ChangeKind::BreakerOpened));
    // The state that an epoch would save now has nothing of the batch.
    let state = chain.snapshot()?;
    ensure!(state.len() == 1);

    let again = json!({ "do": "count", "alert_at": [200] });
    swap(&mut chain, Plugin::load(&engine, source("detector", &again)?)?)?;
    let mut judged: Option<Judged> = None;
    let mut remaining = rest;
    loop {
        let progress = chain.judge_some(remaining)?;
        match (&mut judged, progress.judged) {
            (Some(judged), Some(next)) => judged.append(next)?,
            (None, next) => judged = next,
            (Some(_), None) => {}
        }
        let Some(rest) = progress.rest else { break };
        remaining = rest;
    }
    let judged = judged.context("nothing was judged")?;
    ensure!(settled(&judged, ROWS)?.is_empty());
    let alert = judged.alerts.first().context("no alert")?;
    ensure!(alert.count == 201 && alert.labels["again"] == "0", "{alert:?}");
    Ok(())
}

/// The same on a topic on which little happens: batches with fewer rows than a plugin may fail on.
#[test]
fn a_few_rows_wait_for_a_plugin_that_is_down_as_well() -> Result<()> {
    let engine = Engine::new()?;
    let down = long_pause(source("transform", &json!({ "do": "trap", "every": 1 }))?);
    let mut chain = chain(&engine, down)?;
    for first in [0, 6] {
        let (n_judged, rest) = until_held(&mut chain, batches::ordinary_from(first, 6)?.into())?;
        ensure!(n_judged == 0, "{n_judged} records were judged or given up");
        ensure!(rest.context("nothing is left")?.n_records() == 6);
    }
    ensure!(changes(&mut chain) == [ChangeKind::BreakerOpened]);
    Ok(())
}

fn long_pause(source: PluginSource) -> PluginSource {
    with_limits(source, 10, Duration::from_mins(10))
}

fn swap(chain: &mut PluginChain, plugin: Plugin) -> Result<()> {
    let control = chain.control();
    let (arranged, _) = asked(chain, move || {
        control.arrange(vec![Place::New(Box::new(plugin))], "a test".to_owned())
    })?;
    arranged.map(drop).map_err(Into::into)
}

#[test]
fn rows_are_given_up_only_when_nothing_succeeds_for_the_pause() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "every": 1, "times": 1_000_000 });
    let began = Instant::now();
    let mut chain = chain(&engine, with_limits(source("transform", &config)?, 10, PAUSE))?;
    let letters = settled(&judge(&mut chain, 0, 200)?, 200)?;
    ensure!(began.elapsed() >= PAUSE, "given up after {:?}", began.elapsed());
    ensure!(letters.len() == 200, "{} dead letters", letters.len());
    let is_told = |why: &str| why.contains("not called");
    ensure!(
        letters.values().all(|(class, why)| *class == ReasonClass::PluginFault && is_told(why))
    );
    let taken = chain.take_changes();
    let opened = taken.of_plugins().filter(|change| change.kind == ChangeKind::BreakerOpened);
    ensure!(opened.count() == 1, "{taken:?}");
    let rules: Vec<_> = taken.alerts.iter().map(|alert| alert.rule.as_str()).collect();
    ensure!(rules == ["plugin-breaker", "plugin-down"], "{rules:?}");
    ensure!(taken.alerts[0].message.contains("poison-rows-max"), "{}", taken.alerts[0].message);
    // From now on at once, and without another alert.
    let began = Instant::now();
    ensure!(settled(&judge(&mut chain, 200, ROWS)?, ROWS)?.len() == ROWS);
    ensure!(began.elapsed() < BATCH_TIME, "{:?}", began.elapsed());
    ensure!(reported(&mut chain, "plugin-down").is_none());
    Ok(())
}

/// Rows that are given up are tried now and then: one that succeeds, and its whole batch is judged.
#[test]
fn a_plugin_that_recovers_judges_the_whole_batch() -> Result<()> {
    let engine = Engine::new()?;
    let bad: Vec<i64> = (0..100).chain([150]).collect();
    let config = json!({ "do": "trap", "at_offset": bad });
    let mut chain = chain(&engine, with_limits(source("transform", &config)?, 5, PAUSE))?;
    ensure!(settled(&judge(&mut chain, 0, 100)?, 100)?.len() == 100);
    chain.take_changes();
    let letters = settled(&judge(&mut chain, 100, 100)?, 100)?;
    ensure!(letters.keys().copied().eq([150]), "{letters:?}");
    Ok(())
}

#[test]
fn a_breaker_closes_once_no_row_has_failed_for_the_pause() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "at_offset": (0..100).collect::<Vec<i64>>() });
    let mut chain =
        chain(&engine, with_limits(source("transform", &config)?, 5, Duration::from_millis(1)))?;
    ensure!(settled(&judge(&mut chain, 50, 100)?, 100)?.len() == 50);
    std::thread::sleep(Duration::from_millis(2));
    judge(&mut chain, 200, 100)?;
    let kinds = changes(&mut chain);
    ensure!(kinds == [ChangeKind::BreakerOpened, ChangeKind::BreakerClosed], "{kinds:?}");
    Ok(())
}

/// A bad row in each batch trips no limit of a batch, but takes most of the time.
#[test]
fn a_trickle_of_bad_rows_opens_the_breaker_and_loses_nothing() -> Result<()> {
    let engine = Engine::new()?;
    let bad: Vec<i64> = (0..12).map(|batch| batch * 500 + 77).collect();
    let config = json!({ "do": "spin", "at_offset": bad });
    let mut chain = chain(&engine, source("transform", &config)?)?;
    for batch in 0..12 {
        let letters = settled(&judge(&mut chain, batch * 500, 500)?, 500)?;
        ensure!(letters.keys().copied().eq([batch * 500 + 77]), "{letters:?}");
    }
    ensure!(changes(&mut chain).contains(&ChangeKind::BreakerOpened));
    Ok(())
}

#[test]
fn on_error_is_kept_while_the_breaker_is_open() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "at_offset": (0..100).collect::<Vec<i64>>() });
    let passing = PluginSource { on_error: OnError::Pass, ..source("detector", &config)? };
    let mut chain = chain(&engine, with_limits(passing, 5, PAUSE))?;
    ensure!(settled(&judge(&mut chain, 0, 200)?, 200)?.is_empty(), "a row is a dead letter");
    ensure!(changes(&mut chain).first() == Some(&ChangeKind::BreakerOpened));

    let halt = halting(source("transform", &config)?);
    let mut chain = super::chain(&engine, with_limits(halt, 5, PAUSE))?;
    let error = judge(&mut chain, 50, 100).err().context("it went on")?;
    ensure!(format!("{error:#}").contains("on-error is \"halt\""), "{error:#}");
    Ok(())
}

/// A shadow gets each batch once, whole parts of it, and what it costs does not hold up the stream.
#[test]
fn a_shadow_sees_what_the_live_plugin_judged() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "count", "trap_at": (100..200).collect::<Vec<i64>>() });
    let live = with_limits(source("detector", &config)?, 5, PAUSE);
    let mut chain = chain(&engine, live)?;
    judge(&mut chain, 0, 50)?;
    let candidate = Plugin::load(&engine, source("detector", &json!({ "do": "count" }))?)?;
    let control = chain.control();
    asked(&mut chain, move || control.start_shadow("hostile", candidate, "a test".to_owned()))?.0?;
    ensure!(settled(&judge(&mut chain, 50, ROWS)?, ROWS)?.len() == 100);
    let control = chain.control();
    let report = || control.shadow_reports().pop().context("no report");
    wait_until("the shadow", Duration::from_secs(20), || Ok(report()?.batches_waiting == 0))?;
    let report = report()?;
    ensure!(report.batches_skipped > 0 || report.rows == ROWS as u64, "{report:?}");
    ensure!(report.states_lost == 0 && report.failed.rows == 0, "{report:?}");
    Ok(())
}
