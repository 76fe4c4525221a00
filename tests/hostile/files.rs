//! Files that are not plugins, and plugins that fail before their first batch.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use audit_chain::{Engine, PluginSource};
use audit_tests::{env, hostile};
use serde_json::json;

use super::{refusal, source};

/// A file with these bytes is rejected, and the error holds the words.
fn refused(engine: &Engine, what: &str, bytes: Vec<u8>, words: &[&str]) -> Result<()> {
    let said = refusal(engine, PluginSource::new(format!("{what}.wasm"), bytes))?;
    ensure!(said.contains(&format!("{what}.wasm")), "{what}: {said}");
    for word in words {
        ensure!(said.contains(word), "{what}: {said}");
    }
    ensure!(said.len() < 4096 && !said.contains(char::is_control), "{what}: {said:?}");
    Ok(())
}

#[test]
fn files_that_are_no_plugins_are_refused_by_what_they_are() -> Result<()> {
    let engine = Engine::new()?;
    let whole = fs::read(env::guest("hostile")?)?;
    refused(&engine, "empty", Vec::new(), &["the file is empty"])?;
    refused(&engine, "zeros", vec![0; 4096], &["does not begin like WebAssembly"])?;
    refused(&engine, "text", b"not wasm".to_vec(), &["does not begin like WebAssembly"])?;
    refused(&engine, "module", hostile::core_module(&whole)?, &["it is a core module"])?;
    for n_bytes in [8, 100, 5000, whole.len() / 2, whole.len() - 1] {
        let cut = hostile::truncated(&whole, n_bytes)?;
        refused(&engine, "truncated", cut, &["truncated.wasm"])?;
    }
    let newer = hostile::with_abi(&whole, "0.9.0")?;
    refused(&engine, "newer", newer, &["built for audit-host:plugin@0.9.0", "implements 0.1.1"])?;
    let older = hostile::with_abi(&whole, "0.0.1")?;
    refused(&engine, "older", older, &["built for audit-host:plugin@0.0.1", "implements 0.1.1"])?;
    let stateless = hostile::without_state(&whole)?;
    refused(&engine, "stateless", stateless, &["does not export audit-host:plugin/state@0.1.1"])?;
    let http = fs::read(env::guest("http")?)?;
    refused(&engine, "http", http, &["imports wasi:http/outgoing-handler@0.2.0"])?;
    Ok(())
}

#[test]
fn plugins_that_fail_before_their_first_batch_are_refused() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, words) in [
        ("describe-trap", "calling describe"),
        ("describe-spin", "took longer than"),
        ("describe-empty-name", "the name \"\" must be"),
        ("describe-bad-name", "must be 1 to 64 lower-case"),
        // A description has 1 MiB at most, whatever is in it.
        ("describe-huge-name", "calling describe"),
        ("describe-huge-schema", "calling describe"),
        ("describe-empty-version", "the version must be"),
        ("describe-bad-version", "the version must be"),
        ("transform-with-state", "a transform has neither state nor key columns"),
        ("describe-key-columns", "a transform has neither state nor key columns"),
        ("start-trap", "trapped"),
        ("start-spin", "took longer than"),
    ] {
        let said = refusal(&engine, source(mode, &json!({}))?).with_context(|| mode.to_owned())?;
        ensure!(said.contains(words), "{mode}: {said}");
        ensure!(said.len() < 4096 && !said.contains(char::is_control), "{mode}: {said:?}");
    }
    Ok(())
}

#[test]
fn configurations_that_break_the_contract_are_refused() -> Result<()> {
    let engine = Engine::new()?;
    for (behavior, words) in [
        ("configure-trap", "calling configure"),
        ("configure-spin", "took longer than"),
        ("configure-error", "configuring hostile transform: key"),
        ("configure-error-empty", "configuring hostile transform"),
        ("configure-error-nasty", "configuring hostile transform"),
        ("configure-error-huge", "hostile transform"),
        ("configure-reads-unknown-column", "which does not exist at its position"),
        ("configure-reads-nasty-column", "has an invalid description"),
        ("configure-reads-twice", "twice"),
        ("configure-writes-host-column", "which no plugin may change"),
        ("configure-writes-required-column", "which no plugin may change"),
        ("configure-writes-twice", "twice"),
        ("configure-wrong-type", "but the table has"),
        ("configure-bad-column-name", "a name must be"),
        ("configure-nasty-column-name", "hostile transform"),
        ("configure-empty-column-name", "a name must be"),
        ("configure-huge-column-name", "hostile transform"),
        ("configure-huge", "hostile transform"),
        ("configure-huge-writes", "hostile transform"),
    ] {
        let config = json!({ "do": behavior });
        let said =
            refusal(&engine, source("transform", &config)?).with_context(|| behavior.to_owned())?;
        ensure!(said.contains(words), "{behavior}: {said}");
        ensure!(said.len() < 8192 && !said.contains(char::is_control), "{behavior}: {said:?}");
    }
    Ok(())
}

/// A valid component of 200 MiB is only a matter of time and of the limit on files, which is checked before
/// a byte is read (`host/src/plugins/load.rs`).
#[test]
fn a_large_component_loads_or_is_refused_in_seconds() -> Result<()> {
    let engine = Engine::new()?;
    let padded = hostile::with_padding(&fs::read(env::guest("hostile")?)?, 200 << 20);
    let began = Instant::now();
    super::chain(&engine, PluginSource::new("large.wasm", padded))?;
    ensure!(began.elapsed().as_secs() < 60, "it took {:?}", began.elapsed());
    Ok(())
}
