//! Components that lie, fail or do not end while they are configured: `plugin check` says so in a line, soon, and in
//! little memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use audit_tests::bombs::{Plugin, SPIN};
use audit_tests::program::{Ended, Program};
use audit_tests::{env, hostile};
use serde_json::{Value, json};

/// `limits.setup-time` has 10 s by default; the rest is for a busy machine.
const TIME_MAX: Duration = Duration::from_secs(20);
const RSS_BYTES_MAX: u64 = 256 << 20;
/// What a terminal shows of a refusal.
const OUTPUT_BYTES_MAX: usize = 4096;
/// Takes memory a MiB at a time and writes to all of it, until it gets no more.
const GROW: &str = "(local $at i32) (loop (local.set $at (memory.grow (i32.const 16))) \
     (if (i32.ne (local.get $at) (i32.const -1)) (then \
     (memory.fill (i32.shl (local.get $at) (i32.const 16)) (i32.const 1) (i32.const 1048576)) \
     (br 1)))) (unreachable)";

fn check(dir: &Path, name: &str, bytes: &[u8], config: &Value) -> Result<Ended> {
    let path = dir.join(format!("{name}.wasm"));
    fs::write(&path, bytes)?;
    let args = ["plugin", "check", &path.display().to_string(), "--config", &config.to_string()];
    Program::new(dir, &args).run()
}

/// A component is refused within every limit, and the refusal has the word.
fn refused(dir: &Path, name: &str, bytes: &[u8], config: &Value, word: &str) -> Result<()> {
    let ended = check(dir, name, bytes, config)?;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(ended.code() == Some(1), "{name} ended with {}: {said}", ended.status);
    ensure!(ended.error_lines().len() == 1, "{name}: not one line of error: {said}");
    ensure!(said.contains(word), "{name}: no {word:?} in {said}");
    ensure!(said.len() < OUTPUT_BYTES_MAX, "{name}: {} bytes were said", said.len());
    let is_odd = |c: char| c.is_control() && c != '\n';
    ensure!(!said.contains(is_odd), "{name}: control characters in {said:?}");
    ensure!(ended.elapsed < TIME_MAX, "{name} took {:?}", ended.elapsed);
    let peak = ended.peak_rss_bytes()?;
    ensure!(peak < RSS_BYTES_MAX, "{name} took {} MiB", peak >> 20);
    Ok(())
}

#[test]
fn a_component_that_lies_about_its_columns_is_refused_in_a_line() -> Result<()> {
    let dir = env::folder("strangers-bindings")?;
    let guest = hostile::with_mode(&fs::read(env::guest("hostile")?)?, "transform")?;
    // It is refused for what it does, and not for what it is.
    check(&dir, "nothing", &guest, &json!({ "do": "nothing" }))?.success()?;
    for (behavior, word) in [
        ("configure-huge-writes", ""),
        ("configure-huge", ""),
        ("configure-writes-twice", "twice"),
        ("configure-reads-twice", "twice"),
        ("configure-writes-host-column", "source_offset"),
        ("configure-writes-required-column", "action_type"),
        ("configure-error-huge", ""),
        ("configure-error-nasty", ""),
        ("configure-trap", "configure"),
        ("configure-spin", "took longer than"),
    ] {
        let config = match behavior {
            "configure-huge-writes" | "configure-huge" => json!({ "do": behavior, "n": 600 }),
            "configure-error-huge" => json!({ "do": behavior, "bytes": 1 << 20 }),
            _ => json!({ "do": behavior }),
        };
        refused(&dir, behavior, &guest, &config, word)?;
    }
    let grow = Plugin { configure: GROW, ..Plugin::default() }.component()?;
    refused(&dir, "grow", &grow, &json!({}), "configure")?;
    let spin = Plugin { configure: SPIN, ..Plugin::default() }.component()?;
    refused(&dir, "spin", &spin, &json!({}), "took longer than")
}
