//! What each column costs that `redact_pii` searches, with values that repeat as in the generator's events and with
//! values that are all different.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, AsArray, StringArray};
use audit_core::Batch;
use audit_plugin_sdk::testing::Transformer;
use redact_pii::RedactPii;
use serde_json::{Value, json};

use crate::chains::{self, BATCH_ROWS, Bench, per};
use crate::table::{Table, rounded};
use crate::{events, native};

/// Replaced as a whole by the defaults; all others that they write are searched.
const MASKED: &str = "user_email";

fn searched() -> Result<Vec<String>> {
    let plugin = Transformer::<RedactPii>::new("{}").ok().context("the defaults")?;
    let names = plugin.writes().iter().map(|column| column.name.clone());
    Ok(names.filter(|name| name != MASKED).collect())
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let component = chains::plugin("redact_pii")?;
    let title = format!("redact_pii by column; {}", bench.about());
    let columns = ["column", "values", "native, ns/row", "component, ns/row"];
    let mut table = Table::new(title, &columns);
    let repeating = events::batches(bench.n_rows, BATCH_ROWS)?;
    let searched = searched()?;
    let different = repeating.iter().map(|batch| all_different(batch, &searched));
    let different = different.collect::<Result<Vec<_>>>()?;
    for (values, batches) in [("as generated", &repeating), ("all different", &different)] {
        for (name, config) in configurations(&searched) {
            let (mut own, mut wasm) = (Vec::<Duration>::new(), Vec::new());
            for _ in 0..bench.n_runs {
                own.push(native::transform::<RedactPii>(&config.to_string(), batches)?);
                let sources = vec![chains::source(&component, &config)];
                let mut chain = chains::chain(&bench.engine, sources)?;
                wasm.push(chains::judge_all(&mut chain, batches)?);
            }
            table.push([
                json!(name),
                json!(values),
                rounded(per(&own, bench.n_rows), 1),
                rounded(per(&wasm, bench.n_rows), 1),
            ]);
        }
    }
    Ok(vec![table])
}

/// Each column by itself, then the one that is masked, then everything.
fn configurations(searched: &[String]) -> Vec<(&str, Value)> {
    let bare = |fields: Value, free_text: &[&str]| {
        let paths = json!({ "granted_to": "keep" });
        json!({ "fields": fields, "free-text": free_text, "details-paths": paths })
    };
    let mut all: Vec<(&str, Value)> = searched
        .iter()
        .map(|column| (column.as_str(), bare(json!({ MASKED: "keep" }), &[column])))
        .collect();
    all.push((MASKED, bare(json!({ MASKED: "mask" }), &[])));
    all.push(("all, as by default", json!({})));
    all
}

/// The batch with no value twice in a column that is searched: a number at the end of each, in front of the closing
/// brace of `details`; addresses are numbered.
fn all_different(batch: &Batch, searched: &[String]) -> Result<Batch> {
    let columns = searched.iter().map(|name| {
        let name = name.as_str();
        let column =
            batch.columns.column_by_name(name).expect("every event has it").as_string::<i32>();
        let numbered = |(row, value): (usize, Option<&str>)| {
            let value = value?;
            Some(match name {
                "details" => format!("{}, \"n\": {row}}}", value.trim_end_matches('}')),
                "ip_address" => format!("10.7.{}.{}", row / 256 % 256, row % 256),
                "session_id" => {
                    let start = value.get(..value.len().saturating_sub(4)).unwrap_or(value);
                    format!("{start}{row:04x}")
                }
                _ => format!("{value}_{row}"),
            })
        };
        let values: StringArray = column.iter().enumerate().map(numbered).collect();
        (name, Arc::new(values) as ArrayRef)
    });
    let columns: Vec<(&str, ArrayRef)> = columns.collect();
    chains::with_columns(batch, &columns)
}
