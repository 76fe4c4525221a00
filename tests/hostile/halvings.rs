//! A plugin that fails on many rows at once and on none of them alone: no row is lost, and nobody would know.

use anyhow::{Context as _, Result, ensure};
use audit_chain::Engine;
use audit_core::stage::Chain;
use serde_json::json;

use super::{chain, judge, settled, source};

const ROWS: usize = 100;

#[test]
fn a_breach_that_cutting_up_hides_is_counted_with_its_reason() -> Result<()> {
    let engine = Engine::new()?;
    for (how, says, is_breach) in
        [("short-column", "100 offsets for 100 rows, not 101", true), ("trap", "trapped", false)]
    {
        let config = json!({ "do": how, "above_rows": 25 });
        let mut chain = chain(&engine, source("transform", &config)?)?;
        ensure!(settled(&judge(&mut chain, 0, ROWS)?, ROWS)?.is_empty(), "{how}: a row was lost");
        let halvings = chain.take_halvings().remove("hostile").context("nothing was counted")?;
        // Only the whole: it is cut into parts of two rows.
        ensure!(halvings.n_times == 1 && halvings.is_breach == is_breach, "{how}: {halvings:?}");
        ensure!(halvings.why.contains(says), "{how}: {halvings:?}");
        judge(&mut chain, 100, ROWS)?;
        chain.snapshot()?;
        ensure!(chain.take_halvings().is_empty(), "an epoch reports the one before");
    }
    Ok(())
}
