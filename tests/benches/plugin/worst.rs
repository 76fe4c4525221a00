//! The values that cost `redact_pii` most, for each byte: known ones, and what a search natively finds that is worse. A
//! producer who wants to hold up the stream would send them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use arrow::array::StringArray;
use audit_core::Batch;
use redact_pii::RedactPii;
use serde_json::json;

use crate::chains::{self, Bench, per};
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
    Ok(vec![worst(bench, &component, event)?, sent(bench, &component, event)?])
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
            rounded(chains::milliseconds(&native), 3),
            rounded(chains::milliseconds(&judged), 3),
            rounded(per(&judged, value.len()), 1),
        ]);
    }
    Ok(table)
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
