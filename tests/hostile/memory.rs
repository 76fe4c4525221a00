//! Nothing is left behind by instances that are thrown away.

use std::fs;

use anyhow::{Context, Result, ensure};
use audit_chain::Engine;
use serde_json::json;

use super::{chain, judge, settled, source};

/// Failures before memory is looked at the first time, and after.
const WARM_UP: i64 = 100;
const FAILURES: i64 = 1000;
/// An instance has 64 KiB pages at least: a leak of one each time would be far more.
const GROWTH_MAX: u64 = 24 << 20;

#[test]
fn a_thousand_traps_leave_no_memory_behind() -> Result<()> {
    let engine = Engine::new()?;
    let config = json!({ "do": "trap", "every": 1 });
    for mode in ["transform", "detector"] {
        let mut chain = chain(&engine, source(mode, &config)?)?;
        let mut before = 0;
        for n in 0..WARM_UP + FAILURES {
            if n == WARM_UP {
                before = resident_bytes()?;
            }
            ensure!(settled(&judge(&mut chain, n, 1)?, 1)?.len() == 1);
        }
        let grown = resident_bytes()?.saturating_sub(before);
        ensure!(grown < GROWTH_MAX, "{mode}: {grown} bytes more after {FAILURES} traps");
    }
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).context("no resident set in /proc/self/statm")?;
    Ok(pages.parse::<u64>()? * 4096)
}
