//! What a hostile component must not do to the host: the guest `tests/guests/hostile` and its variants,
//! driven by the chain that the program uses.

mod answers;
mod bombs;
mod breaker;
mod files;
mod grants;
mod halvings;
mod memory;
mod poison;
mod redact;
mod states;
mod strangers;
mod texts;
mod variants;
mod wasi;

mod coverage;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_chain::{Engine, Key, Keys, Limits, OnError, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{Judged, ReasonClass};
use audit_tests::{env, hostile};
use serde_json::Value;

use crate::abi::batches;

/// Short, as much of the suite waits for it; long enough for every call that is not meant to reach it.
const BATCH_TIME: Duration = Duration::from_millis(400);

/// How long rows wait for a plugin that fails on all of them.
const PAUSE: Duration = Duration::from_millis(300);

/// The guest in a mode, with a configuration.
fn source(mode: &str, config: &Value) -> Result<PluginSource> {
    let bytes = hostile::with_mode(&fs::read(env::guest("hostile")?)?, mode)?;
    let limits = Limits {
        batch_time: BATCH_TIME,
        setup_time: Duration::from_secs(2),
        breaker_pause: PAUSE,
        ..Limits::default()
    };
    let keys = Keys::from([("k".to_owned(), Key::new(b"0123456789abcdef"))]);
    let config = config.to_string();
    Ok(PluginSource { limits, keys, config, ..PluginSource::new(format!("hostile {mode}"), bytes) })
}

fn chain(engine: &Engine, source: PluginSource) -> Result<PluginChain> {
    Ok(PluginChain::new(vec![Plugin::load(engine, source)?])?)
}

/// Every row is stored or a dead letter, none twice; returns the dead letters by offset.
fn settled(judged: &Judged, n_rows: usize) -> Result<BTreeMap<i64, (ReasonClass, String)>> {
    let letters: BTreeMap<_, _> = judged
        .dead_letters
        .iter()
        .map(|letter| (letter.offset, (letter.class, letter.reason.clone())))
        .collect();
    ensure!(letters.len() == judged.dead_letters.len(), "a row is a dead letter twice");
    let n_kept = judged.rows.num_rows();
    ensure!(n_kept + letters.len() == n_rows, "{n_kept} rows and {} dead letters", letters.len());
    Ok(letters)
}

/// Judges ordinary events from that offset on.
fn judge(chain: &mut PluginChain, first: i64, n_rows: usize) -> Result<Judged> {
    Ok(chain.judge(batches::ordinary_from(first, n_rows)?)?)
}

/// The message of the host's own alert of that rule, if it was raised.
fn reported(chain: &mut PluginChain, rule: &str) -> Option<String> {
    let taken = chain.take_changes();
    taken.alerts.into_iter().find(|alert| alert.rule == rule).map(|alert| alert.message)
}

/// The error with which the host rejects a plugin.
fn refusal(engine: &Engine, source: PluginSource) -> Result<String> {
    let name = source.name.clone();
    let refused = chain(engine, source).err();
    Ok(format!("{:#}", refused.with_context(|| format!("{name} was loaded"))?))
}

/// A plugin whose failure ends the run.
fn halting(source: PluginSource) -> PluginSource {
    PluginSource { on_error: OnError::Halt, ..source }
}
