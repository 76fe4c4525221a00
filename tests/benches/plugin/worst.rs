//! The values that cost `redact_pii` most, for each byte: known ones, and what a search natively finds that is worse. A
//! producer who wants to hold up the stream would send them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use arrow::array::{AsArray, StringArray};
use audit_core::Batch;
use redact_pii::RedactPii;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, milliseconds, per, ratio};
use crate::table::{Table, rounded};
use crate::{events, native};

#[path = "../../../plugins/redact-pii/tests/plugin/costly.rs"]
#[allow(dead_code, reason = "shared: the tests and the fuzz target use other parts of it")]
mod costly;
#[path = "../../../plugins/redact-pii/tests/plugin/search.rs"]
mod search;
#[path = "../../../plugins/redact-pii/tests/plugin/soup.rs"]
#[allow(dead_code, reason = "shared: the search uses a part of it")]
mod soup;

use costly::{Case, FOUND, Layer, Recipe};
use soup::Random;

/// The search tries so many values of a length for each detector; what it finds is measured at another.
const TRIES: usize = 300;
const TRIED_BYTES: usize = 16 << 10;
const VALUE_BYTES: usize = 120 << 10;
/// Layers make some values longer than asked for.
const LONGER_MAX: usize = 4;
const SEED: u64 = 12;
/// Of the attack that opened the breaker.
const ATTACK_ROWS: usize = 8_646;
const ATTACK_NESTED: usize = 65;

/// Values that somebody sent to stop the stream.
const SENT: [(&str, &str, &[Layer], usize); 3] = [
    ("base64 three deep, each layer encoded twice more", "b", costly::NESTED, 445),
    ("pwdghp_ repeated", "pwdghp_", &[], 1 << 20),
    ("passwordghp_ repeated", "passwordghp_", &[], 1 << 20),
];

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let component = chains::plugin("redact_pii")?;
    let events = events::batches(1, 1)?;
    let Some(event) = events.first() else { return Ok(Vec::new()) };
    let tables = [
        worst(bench, &component, event)?,
        sent(bench, &component, event)?,
        attack(bench, &component)?,
    ];
    Ok(tables.into())
}

/// For each detector what costs the component most, among what is known and what the search finds.
fn worst(bench: &Bench, component: &[u8], event: &Batch) -> Result<Table> {
    let title = format!(
        "redact_pii, the worst of {TRIES} values of {TRIED_BYTES} bytes and the known ones, at about {VALUE_BYTES} \
         bytes; medians of {} rounds",
        bench.few_runs()
    );
    let columns = ["searched for", "unit", "wrapped in", "native, ns/byte", "component, ns/byte"];
    let mut table = Table::new(title, &columns);
    for case in Case::ALL {
        let known: Vec<Recipe> =
            FOUND.iter().filter(|found| found.case == case).map(costly::Found::recipe).collect();
        let tried = |recipe: &Recipe| {
            let value = recipe.value(TRIED_BYTES);
            if value.len() > LONGER_MAX * TRIED_BYTES {
                return 0.0;
            }
            let batch = with_value(event, case, &value);
            let time = batch.and_then(|batch| natively(case, &batch));
            time.map_or(0.0, |time| time.as_nanos() as f64 / value.len() as f64)
        };
        let found = search::worst(&mut Random(SEED), &known, TRIES, tried);
        let mut worst: Option<(f64, f64, Recipe)> = None;
        for recipe in known.into_iter().chain(found.map(|(recipe, _)| recipe)) {
            let value = recipe.value(VALUE_BYTES);
            let [native, judged] = measured(bench, component, event, case, &value)?
                .map(|times| per(&times, value.len()));
            if worst.as_ref().is_none_or(|(_, worst, _)| judged > *worst) {
                worst = Some((native, judged, recipe));
            }
        }
        let Some((native, judged, recipe)) = worst else { continue };
        table.push([
            json!(case.name()),
            json!(format!("`{}`", recipe.unit.escape_debug())),
            json!(format!("{:?}", recipe.layers)),
            rounded(native, 1),
            rounded(judged, 1),
        ]);
    }
    Ok(table)
}

fn sent(bench: &Bench, component: &[u8], event: &Batch) -> Result<Table> {
    let title =
        format!("redact_pii, values sent to stop it; medians of {} rounds", bench.few_runs());
    let columns = ["value", "bytes", "native, ms", "component, ms", "component, ns/byte"];
    let mut table = Table::new(title, &columns);
    for (name, unit, layers, length) in SENT {
        let mut value = Recipe::new(unit, layers).value(length);
        if value.len() > length && layers.is_empty() {
            value.truncate(length);
        }
        let [native, judged] = measured(bench, component, event, Case::Details, &value)?;
        table.push([
            json!(name),
            json!(value.len()),
            rounded(milliseconds(&native), 3),
            rounded(milliseconds(&judged), 3),
            rounded(per(&judged, value.len()), 1),
        ]);
    }
    Ok(table)
}

/// The attack that once took most innocent events along: many records, each of which was searched for 137 ms.
fn attack(bench: &Bench, component: &[u8]) -> Result<Table> {
    let title = format!(
        "redact_pii, {ATTACK_ROWS} events of which {ATTACK_NESTED} are encoded over and over; medians of {} rounds",
        bench.n_runs
    );
    let mut table = Table::new(title, &["without them, ms", "with them, ms", "ratio"]);
    let clean = events::batches(ATTACK_ROWS, BATCH_ROWS)?;
    let attacked = clean.iter().enumerate().map(|(at, batch)| with_nested(batch, at * BATCH_ROWS));
    let attacked = attacked.collect::<Result<Vec<_>>>()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..bench.n_runs {
        for (batches, times) in [(&clean, &mut without), (&attacked, &mut with)] {
            let mut chain = chains::chain_of(&bench.engine, component)?;
            times.push(chains::judge_all(&mut chain, batches)?);
        }
    }
    table.push([
        rounded(milliseconds(&without), 1),
        rounded(milliseconds(&with), 1),
        rounded(ratio(&with, &without), 1),
    ]);
    Ok(table)
}

/// The batch with such values in place of some `details`, all different.
fn with_nested(batch: &Batch, first: usize) -> Result<Batch> {
    let details = batch.columns.column_by_name("details").context("no details")?.as_string::<i32>();
    let values = details.iter().enumerate().map(|(row, value)| {
        let n = first + row;
        let nested = || Recipe::new(&format!("{n}b"), costly::NESTED).value(445);
        if n.is_multiple_of(ATTACK_ROWS / ATTACK_NESTED) {
            Some(nested())
        } else {
            value.map(str::to_owned)
        }
    });
    chains::with_columns(batch, &[("details", Arc::new(values.collect::<StringArray>()))])
}

/// The times of a value natively and in the component.
fn measured(
    bench: &Bench,
    component: &[u8],
    event: &Batch,
    case: Case,
    value: &str,
) -> Result<[Vec<Duration>; 2]> {
    let batch = with_value(event, case, value)?;
    let config = serde_json::from_str(&case.config())?;
    let mut chain = chains::chain(&bench.engine, vec![chains::source(component, &config)])?;
    let (mut native, mut judged) = (Vec::new(), Vec::new());
    for _ in 0..bench.few_runs() {
        native.push(natively(case, &batch)?);
        judged.push(chains::judge_all(&mut chain, std::slice::from_ref(&batch))?);
    }
    Ok([native, judged])
}

fn natively(case: Case, batch: &Batch) -> Result<Duration> {
    native::transform::<RedactPii>(&case.config(), std::slice::from_ref(batch))
}

/// The event with the value where the case looks for it.
fn with_value(event: &Batch, case: Case, value: &str) -> Result<Batch> {
    chains::with_columns(event, &[(case.column(), Arc::new(StringArray::from(vec![value])))])
}
