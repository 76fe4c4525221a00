//! A component that asks WASI for files, sockets, an environment, clocks and randomness gets none, and
//! gets the same of everything in every replay.

use std::fs;

use anyhow::{Context, Result, ensure};
use arrow::array::AsArray;
use audit_chain::{Answer, Engine, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_tests::{env, hostile};
use serde_json::json;

use super::settled;
use crate::abi::batches;

/// What it got, or why the row became a dead letter.
fn got(engine: &Engine, what: &str, first: i64) -> Result<Result<String, String>> {
    let source = PluginSource {
        config: json!({ "try": what }).to_string(),
        ..PluginSource::new("wasi.wasm", fs::read(env::guest("files_and_sockets")?)?)
    };
    let mut chain = PluginChain::new(vec![Plugin::load(engine, source)?])?;
    let judged = chain.judge(batches::ordinary_from(first, 1)?)?;
    if let Some((_, (_, reason))) = settled(&judged, 1)?.into_iter().next() {
        return Ok(Err(reason));
    }
    let column = judged.rows.column_by_name("user_agent").context("no column")?;
    Ok(Ok(column.as_string::<i32>().value(0).to_owned()))
}

#[test]
fn nothing_is_granted() -> Result<()> {
    let engine = Engine::new()?;
    for (what, expect) in [
        ("nothing", "asked for nothing"),
        ("preopens", "0 folders"),
        ("open-file", "no folder to open a file in"),
        ("environment", "0 variables, 0 arguments, folder None"),
        ("stdout", "written"),
    ] {
        let found = got(&engine, what, 0)?;
        ensure!(found.as_deref() == Ok(expect), "{what}: {found:?}");
    }
    for what in ["tcp", "resolve", "exit", "exit-error"] {
        let reason = got(&engine, what, 0)?.err().with_context(|| format!("{what} was done"))?;
        ensure!(reason.contains("trapped"), "{what}: {reason}");
    }
    // It goes on at once: a deadline does not end a wait within the host.
    ensure!(got(&engine, "sleep", 0)?.is_ok(), "it slept");
    Ok(())
}

#[test]
fn time_and_randomness_follow_from_the_batch() -> Result<()> {
    let engine = Engine::new()?;
    for what in ["wall-clock", "monotonic", "random"] {
        let once = got(&engine, what, 0)?;
        ensure!(once.is_ok() && once == got(&engine, what, 0)?, "{what}: {once:?}");
    }
    // The clock is the batch's: offset 5000 is 5 s after offset 0 in these events.
    let clock = got(&engine, "wall-clock", 0)?;
    ensure!(clock.as_deref() == Ok("1737028800.000000000 s"), "{clock:?}");
    ensure!(got(&engine, "random", 0)? != got(&engine, "random", 5000)?);
    Ok(())
}

/// Tool chains name the patch release that they know: all of 0.2 get the same answers.
#[test]
fn a_later_patch_release_of_wasi_is_the_same() -> Result<()> {
    let engine = Engine::new()?;
    let bytes = fs::read(env::guest("files_and_sockets")?)?;
    let bytes = hostile::patched(&bytes, "@0.2.0", "@0.2.9")?;
    let source = PluginSource {
        config: json!({ "try": "environment" }).to_string(),
        ..PluginSource::new("later.wasm", bytes)
    };
    let mut chain = PluginChain::new(vec![Plugin::load(&engine, source)?])?;
    let judged = chain.judge(batches::ordinary_from(0, 1)?)?;
    ensure!(settled(&judged, 1)?.is_empty(), "{:?}", judged.dead_letters);
    Ok(())
}

#[test]
fn what_an_import_gets_is_known_before_it_runs() -> Result<()> {
    let engine = Engine::new()?;
    let source = PluginSource::new("wasi.wasm", fs::read(env::guest("files_and_sockets")?)?);
    let plugin = Plugin::load(&engine, source)?;
    let imports = &plugin.interfaces().imports;
    let answer = |name: &str| imports.iter().find(|(known, _)| known == name).map(|(_, a)| *a);
    ensure!(answer("wasi:sockets/tcp@0.2.0") == Some(Answer::Denied), "{imports:?}");
    ensure!(answer("wasi:filesystem/preopens@0.2.0") == Some(Answer::Virtual), "{imports:?}");
    ensure!(answer("audit-host:plugin/types@0.1.0") == Some(Answer::Host), "{imports:?}");
    Ok(())
}
