//! Runs a case through the plugin: the real engine, the real limits, a chain of one.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use audit_chain::{Engine, OnError, Plugin, PluginChain, PluginKind, PluginSource, Scope};
use audit_core::stage::Chain;
use audit_core::{Alert, DeadLetter, Judged, schema};
use serde_json::{Map, Value, json};

use super::case::Case;
use super::error::Error;
use super::outcome::Outcome;
use crate::cells;
use crate::feed::{Feed, Stamp};

/// The key of a line that holds its record's offset.
const OFFSET: &str = "offset";

/// Runs a case in one batch, and then on another instance in two. The plugin gets the configuration and the
/// keys of the case, and the limits of `plugin`. Rows on which it fails are dead letters regardless of the
/// `on_error` of `plugin`: a case says which rows those are.
pub(crate) fn run(engine: &Engine, plugin: &PluginSource, case: &Case) -> Result<Outcome, Error> {
    let whole: [&[Vec<u8>]; 1] = [&case.events];
    let (first, second) = case.events.split_at(case.events.len().div_ceil(2));
    let mut outcome = judge(engine, plugin, case, &whole)?;
    outcome.split_rows = if second.is_empty() {
        outcome.rows.clone()
    } else {
        judge(engine, plugin, case, &[first, second])?.rows
    };
    Ok(outcome)
}

fn judge(
    engine: &Engine,
    plugin: &PluginSource,
    case: &Case,
    batches: &[&[Vec<u8>]],
) -> Result<Outcome, Error> {
    let loading = |cause| Error::Load { case: case.name.clone(), cause };
    let running = |cause| Error::Run { case: case.name.clone(), cause };
    let source = PluginSource {
        config: case.config.clone(),
        keys: case.keys.clone(),
        lookups: case.lookups.clone(),
        on_error: OnError::Quarantine,
        // There is only one partition.
        scope: Scope::Merged,
        keyed_by: Vec::new(),
        ..plugin.clone()
    };
    let plugin = Plugin::load(engine, source).map_err(loading)?;
    let writes: BTreeSet<String> = plugin.writes().iter().map(|out| out.name.clone()).collect();
    let mut outcome = Outcome {
        writes_columns: !writes.is_empty(),
        is_detector: plugin.kind() == PluginKind::Detector,
        ..Outcome::default()
    };
    let mut chain = PluginChain::new(vec![plugin]).map_err(loading)?;
    let mut feed = Feed::new(&case.topic);
    let stamp = case.clock.map_or(Stamp::EventTime, Stamp::At);
    for events in batches {
        let batch = feed.batch(events, stamp).map_err(running)?;
        let judged = chain.judge(batch).map_err(running)?;
        add(&mut outcome, &writes, &judged);
    }
    outcome.dead_letters.sort_by_key(|letter| letter[OFFSET].as_i64());
    Ok(outcome)
}

fn add(outcome: &mut Outcome, writes: &BTreeSet<String>, judged: &Judged) {
    let rows = (0..judged.rows.num_rows()).map(|idx| row(writes, &judged.rows, idx));
    outcome.rows.extend(rows.map(as_written));
    outcome.alerts.extend(judged.alerts.iter().map(alert).map(as_written));
    outcome.dead_letters.extend(judged.dead_letters.iter().map(dead_letter));
}

/// The value as it is once it was written and read: a parser may round a number's last digit, and then
/// rounds it for both sides.
fn as_written(value: Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or(value)
}

fn row(writes: &BTreeSet<String>, rows: &RecordBatch, row_idx: usize) -> Value {
    let mut shown = Map::new();
    let offsets = rows.column_by_name(schema::SOURCE_OFFSET);
    let offset = offsets.and_then(|column| column.as_primitive_opt::<Int64Type>());
    shown.insert(OFFSET.to_owned(), json!(offset.map(|offsets| offsets.value(row_idx))));
    for name in writes {
        if let Some(column) = rows.column_by_name(name) {
            shown.insert(name.clone(), cells::cell(column.as_ref(), row_idx));
        }
    }
    Value::Object(shown)
}

fn alert(alert: &Alert) -> Value {
    let mut shown = json!(alert);
    if let Value::Object(fields) = &mut shown {
        fields.remove("id");
        fields.remove("plugin");
    }
    shown
}

fn dead_letter(letter: &DeadLetter) -> Value {
    json!({ OFFSET: letter.offset, "class": letter.class.as_str(), "reason": letter.reason })
}
