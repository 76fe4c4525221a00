//! Values made to hold up `redact_pii`: they are redacted as a whole, and cost no other event anything. The component, whose
//! search begins with SIMD, gives the same results as the native code, also right where the budget ends.

use std::fs;

use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, StringArray};
use audit_chain::{Engine, PluginSource};
use audit_core::Judged;
use audit_core::stage::Chain;
use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use audit_tests::env;
use redact_pii::RedactPii;
use serde_json::json;

use super::{chain, settled};
use crate::abi::batches;

#[path = "../../plugins/redact-pii/tests/plugin/costly.rs"]
#[allow(dead_code, reason = "shared: the benchmark and the fuzz target use other parts of it")]
mod costly;
#[path = "../../plugins/redact-pii/tests/plugin/soup.rs"]
#[allow(dead_code, reason = "shared: tests of the plugin use other parts of it")]
mod soup;

use costly::{Case, FOUND, Recipe};
use soup::Random;

const ROWS: usize = 4096;
const REDACTED: &str = "[REDACTED]";

fn redactor(config: String) -> Result<PluginSource> {
    let bytes = fs::read(env::plugin("redact_pii")?)?;
    Ok(PluginSource { config, ..PluginSource::new("redact_pii", bytes) })
}

fn column<'a>(judged: &'a Judged, name: &str) -> Result<&'a StringArray> {
    let column = judged.rows.column_by_name(name);
    Ok(column.with_context(|| format!("no column {name}"))?.as_string::<i32>())
}

/// The record that took 137 ms: base64 three deep, with percent-encoding, pluses and escapes in each layer.
fn nested() -> String {
    Recipe::new("b", costly::NESTED).value(445)
}

#[test]
fn too_much_work_costs_the_value_that_asks_for_it_and_no_other() -> Result<()> {
    let engine = Engine::new()?;
    let mut chain = chain(&engine, redactor("{}".to_owned())?)?;
    let details = json!({ "note": nested() }).to_string();
    let is_hostile = |row: usize| row.is_multiple_of(16);
    let batch = batches::batch_of(0, 0, ROWS, |row, field| {
        let is_replaced = field == "details" && is_hostile(row);
        Some(if is_replaced { details.clone() } else { batches::ordinary(row, field) })
    })?;
    let judged = chain.judge(batch)?;
    let letters = settled(&judged, ROWS)?;
    ensure!(letters.is_empty(), "{} dead letters: {letters:?}", letters.len());
    for (row, details) in column(&judged, "details")?.iter().enumerate() {
        let details = details.unwrap_or_default();
        ensure!(is_hostile(row) == (details == REDACTED), "row {row}: {details}");
        ensure!(is_hostile(row) || details.contains("[CARD]"), "row {row}: {details}");
    }
    Ok(())
}

#[test]
fn the_component_and_the_native_code_spend_the_same_budget() -> Result<()> {
    let engine = Engine::new()?;
    let mut random = Random(12);
    let mut n_redacted = 0;
    for case in [Case::All, Case::Details, Case::Sql] {
        let known = FOUND.iter().filter(|found| found.case == case).map(costly::Found::recipe);
        let recipes = known.chain([Recipe::new("bob@x.com 4111 ", &costly::NESTED[2..])]);
        let mut values: Vec<String> =
            recipes.flat_map(|recipe| (1..40).map(move |n| recipe.value(n * 97))).collect();
        values.extend((0..2_000).map(|_| soup::soup(&mut random)));
        let natively = natively(case, &values)?;
        let mut chain = chain(&engine, redactor(case.config())?)?;
        let judged = chain.judge(batches::batch_of(0, 0, values.len(), |row, field| {
            Some(if field == case.column() { values[row].clone() } else { String::new() })
        })?)?;
        ensure!(settled(&judged, values.len())?.is_empty());
        let column = column(&judged, case.column())?;
        for (row, (value, native)) in values.iter().zip(&natively).enumerate() {
            ensure!(
                column.value(row) == native,
                "{case:?}: {value:?} became {}",
                column.value(row)
            );
            n_redacted += usize::from(native == REDACTED);
        }
    }
    ensure!(n_redacted > 0, "no value exhausted its budget: nothing was compared there");
    Ok(())
}

fn natively(case: Case, values: &[String]) -> Result<Vec<String>> {
    let mut plugin =
        Transformer::<RedactPii>::new(&case.config()).ok().context("a configuration")?;
    let rows: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let mut batch = BatchBuilder::new(values.len()).utf8(case.column(), &rows);
    if case == Case::Sql {
        batch = batch.utf8("details", &vec![Some(""); values.len()]);
    }
    let judgement = plugin.process(&batch.build()).ok().context("a judgement")?;
    let texts = testing::texts(&judgement, case.column());
    texts.into_iter().map(|text| Ok(text.context("a null")?.to_owned())).collect()
}
