//! Runs a case through the plugin: the real engine, the real limits, a chain of one.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use audit_chain::{Engine, Limits, OnError, Plugin, PluginChain, PluginKind, PluginSource, Scope};
use audit_core::stage::Chain;
use audit_core::text::one_line;
use audit_core::{Alert, DeadLetter, Judged, schema};
use serde_json::{Map, Value, json};

use super::case::Case;
use super::error::Error;
use super::nulls::Nulls;
use super::outcome::Outcome;
use crate::cells;
use crate::feed::{Feed, Stamp};

/// The key of a line that holds its record's offset.
pub(super) const OFFSET: &str = "offset";
/// The host's alert when a state cannot be saved.
const STATE_LOST: &str = "detector-state-lost";

/// Runs a case in one batch, and then on another instance in two. The plugin gets the configuration and the
/// keys of the case, and the limits of `plugin`. Rows on which it fails are dead letters regardless of the
/// `on_error` of `plugin`: a case says which rows those are.
pub(crate) fn run(engine: &Engine, plugin: &PluginSource, case: &Case) -> Result<Outcome, Error> {
    let plugin = load(engine, plugin, case)?;
    let whole: [&[Vec<u8>]; 1] = [&case.events];
    let (first, second) = case.events.split_at(case.events.len().div_ceil(2));
    let mut outcome = judge(&plugin, case, &whole)?;
    if second.is_empty() {
        outcome.split_rows = outcome.rows.clone();
    } else {
        let split = judge(&plugin, case, &[first, second])?;
        outcome.halvings.extend(split.halvings);
        outcome.split_rows = split.rows;
    }
    Ok(outcome)
}

fn judge(plugin: &Plugin, case: &Case, batches: &[&[Vec<u8>]]) -> Result<Outcome, Error> {
    let mut stream = Stream::new(plugin, case)?;
    for events in batches {
        stream.judge(events, &Nulls::none())?;
    }
    Ok(stream.finish())
}

/// The plugin as a case configures it.
pub(super) fn load(engine: &Engine, plugin: &PluginSource, case: &Case) -> Result<Plugin, Error> {
    let source = PluginSource {
        config: case.config.clone(),
        keys: case.keys.clone(),
        lookups: case.lookups.clone(),
        on_error: OnError::Quarantine,
        // There is only one partition.
        scope: Scope::Merged,
        keyed_by: Vec::new(),
        // Rows that it fails on are those of the case, however few others there are.
        limits: Limits { breaker_pause: Duration::ZERO, ..plugin.limits },
        ..plugin.clone()
    };
    let loading = |cause| Error::Load { case: case.name.clone(), cause };
    Plugin::load(engine, source).map_err(loading)
}

/// The events of a case on their way through a plugin, batch by batch.
pub(super) struct Stream<'a> {
    case: &'a Case,
    writes: BTreeSet<String>,
    chain: PluginChain,
    feed: Feed,
    outcome: Outcome,
}

impl<'a> Stream<'a> {
    /// On a new instance.
    pub(super) fn new(plugin: &Plugin, case: &'a Case) -> Result<Self, Error> {
        let loading = |cause| Error::Load { case: case.name.clone(), cause };
        let writes: BTreeSet<String> =
            plugin.writes().iter().map(|output| output.name.clone()).collect();
        let outcome = Outcome {
            writes_columns: !writes.is_empty(),
            is_detector: plugin.kind() == PluginKind::Detector,
            ..Outcome::default()
        };
        let chain = PluginChain::new(vec![plugin.fresh()]).map_err(loading)?;
        Ok(Self { case, writes, chain, feed: Feed::new(&case.topic), outcome })
    }

    /// The next events, as one batch.
    pub(super) fn judge(&mut self, events: &[Vec<u8>], nulls: &Nulls) -> Result<(), Error> {
        let case = &self.case.name;
        let running = |cause| Error::Run { case: case.clone(), cause };
        let stamp = self.case.clock.map_or(Stamp::EventTime, Stamp::At);
        let batch = self.feed.batch(events, stamp).map_err(running)?;
        let judged = self.chain.judge(nulls.applied(batch)).map_err(running)?;
        add(&mut self.outcome, &self.writes, &judged);
        self.outcome.halvings.extend(self.chain.take_halvings().into_values());
        Ok(())
    }

    /// Goes on with its state in a new instance, of the same plugin after a restart, or of another version. The
    /// error says why that is not possible.
    pub(super) fn move_to(&mut self, plugin: &Plugin) -> Result<(), String> {
        let states = self.chain.snapshot().map_err(|error| one_line(&error))?;
        let mut alerts = self.chain.drain_events().alerts.into_iter();
        if let Some(lost) = alerts.find(|alert| alert.rule == STATE_LOST) {
            return Err(lost.message);
        }
        let next = PluginChain::new(vec![plugin.fresh()]);
        let mut next = next.map_err(|error| one_line(&error))?;
        next.restore(&states).map_err(|error| one_line(&error))?;
        self.chain = next;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.outcome.dead_letters.sort_by_key(|letter| letter[OFFSET].as_i64());
        self.outcome
    }
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
