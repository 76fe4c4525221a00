//! A judgement, checked. Everything in it comes from a guest and may be wrong on purpose.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use audit_core::{Alert, PluginId, Position, Severity, schema};
use sha2::{Digest, Sha256};

use crate::abi::audit_host::plugin::types;
use crate::abi::lift;
use crate::plugin::{Blueprint, PluginKind};

/// Alerts of a small batch.
const ALERTS_MIN: usize = 1000;
/// And of a large one, for each row: a rule whose hour strikes may have a word for everybody at once.
const ALERTS_PER_ROW: usize = 2;
/// Events that an alert may cite.
const EVENTS_MAX: usize = 100;
/// Labels, and key columns, of one alert.
const FIELDS_MAX: usize = 16;
/// Bytes of a rule's name, a key, a label.
const TEXT_BYTES_MAX: usize = 256;
/// Bytes of a message or reason.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024;

/// Alerts that may come of so many rows: more is a broken rule.
pub(crate) fn alerts_max(n_rows: usize) -> usize {
    ALERTS_MIN.max(n_rows.saturating_mul(ALERTS_PER_ROW))
}

/// A judgement that holds.
pub(crate) struct Answer {
    pub(crate) columns: Vec<ArrayRef>,
    /// Rows to take out, each once, and why.
    pub(crate) quarantined: BTreeMap<u32, String>,
    pub(crate) alerts: Vec<Alert>,
}

/// Checks a judgement of `n_rows` rows against what the plugin declared.
pub(crate) fn check(
    plugin: &Blueprint,
    topic: &Arc<str>,
    n_rows: usize,
    judgement: types::Judgement,
) -> Result<Answer, String> {
    Ok(Answer {
        columns: check_columns(plugin, n_rows, judgement.columns)?,
        quarantined: check_quarantined(n_rows, judgement.quarantined)?,
        alerts: check_alerts(plugin, topic, n_rows, judgement.alerts)?,
    })
}

fn check_columns(
    plugin: &Blueprint,
    n_rows: usize,
    columns: Vec<types::ColumnResult>,
) -> Result<Vec<ArrayRef>, String> {
    if columns.len() != plugin.writes.len() {
        return Err(format!("{} columns, not the {} declared", columns.len(), plugin.writes.len()));
    }
    let mut lifted = Vec::with_capacity(columns.len());
    for (column, declared) in columns.into_iter().zip(&plugin.writes) {
        if column.name != declared.name {
            // Its name is the guest's, and may be anything.
            return Err(format!("another column stands where {:?} was declared", declared.name));
        }
        let array = lift(column, n_rows)
            .map_err(|problem| format!("column {:?}: {problem}", declared.name))?;
        if *array.data_type() != declared.data_type {
            return Err(format!(
                "column {:?}: type {}, not {} as declared",
                declared.name,
                array.data_type(),
                declared.data_type
            ));
        }
        lifted.push(array);
    }
    Ok(lifted)
}

fn check_quarantined(
    n_rows: usize,
    rows: Vec<types::Quarantined>,
) -> Result<BTreeMap<u32, String>, String> {
    let mut checked = BTreeMap::new();
    for types::Quarantined { row, reason } in rows {
        if row as usize >= n_rows {
            return Err(format!("row {row} quarantined of {n_rows} rows"));
        }
        let reason = clipped(&reason, MESSAGE_BYTES_MAX);
        if checked.insert(row, reason).is_some() {
            return Err(format!("row {row} quarantined twice"));
        }
    }
    Ok(checked)
}

fn check_alerts(
    plugin: &Blueprint,
    topic: &Arc<str>,
    n_rows: usize,
    alerts: Vec<types::Alert>,
) -> Result<Vec<Alert>, String> {
    if plugin.kind == PluginKind::Transform && !alerts.is_empty() {
        return Err("an alert of a transform".to_owned());
    }
    let max = alerts_max(n_rows);
    if alerts.len() > max {
        return Err(format!("{} alerts of {n_rows} rows, more than {max}", alerts.len()));
    }
    alerts.into_iter().map(|alert| check_alert(plugin, topic, alert)).collect()
}

fn check_alert(plugin: &Blueprint, topic: &Arc<str>, alert: types::Alert) -> Result<Alert, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    let rule_ok = alert.rule.chars().all(is_plain) && alert.rule.len() <= TEXT_BYTES_MAX;
    if alert.rule.is_empty() || !rule_ok {
        return Err("an alert whose rule has no name of letters, digits, -, _ and .".to_owned());
    }
    for time in [alert.window_start, alert.first_event, alert.last_event] {
        if !schema::TIME_RANGE.contains(&time) {
            return Err(format!("an alert with the time {time}, which is out of range"));
        }
    }
    // The id is that of the key as it is: keys that are cut alike are still different findings.
    let whole_key =
        alert.key.iter().map(|field| (field.name.clone(), field.value.clone())).collect();
    let key = check_fields(alert.key)?;
    if key.keys().any(|name| !plugin.key_columns.contains(name)) {
        return Err("an alert with a key which is no key column of the plugin".to_owned());
    }
    let events = alert.events.iter().take(EVENTS_MAX).map(|at| Position {
        topic: Arc::clone(topic),
        partition: at.partition,
        offset: at.offset,
    });
    Ok(Alert {
        id: alert_id(&plugin.id, &alert.rule, &whole_key, alert.window_start),
        severity: severity(alert.severity),
        message: clipped(&alert.message, MESSAGE_BYTES_MAX),
        key,
        window_start: alert.window_start,
        first_event: alert.first_event,
        last_event: alert.last_event,
        count: alert.count,
        events: events.collect(),
        labels: check_fields(alert.labels)?,
        plugin: plugin.id.clone(),
        rule: alert.rule,
    })
}

fn check_fields(fields: Vec<types::Field>) -> Result<BTreeMap<String, String>, String> {
    if fields.len() > FIELDS_MAX {
        return Err(format!("an alert with {} fields, more than {FIELDS_MAX}", fields.len()));
    }
    let clip = |field: types::Field| {
        (clipped(&field.name, TEXT_BYTES_MAX), clipped(&field.value, TEXT_BYTES_MAX))
    };
    Ok(fields.into_iter().map(clip).collect())
}

fn severity(of: types::Severity) -> Severity {
    match of {
        types::Severity::Info => Severity::Info,
        types::Severity::Low => Severity::Low,
        types::Severity::Medium => Severity::Medium,
        types::Severity::High => Severity::High,
        types::Severity::Critical => Severity::Critical,
    }
}

/// An alert of the host itself about a plugin.
pub(crate) fn host_alert(
    plugin: &PluginId,
    rule: &str,
    severity: Severity,
    message: String,
    at: i64,
) -> Alert {
    let key = BTreeMap::from([("plugin".to_owned(), plugin.name.clone())]);
    Alert {
        id: alert_id(plugin, rule, &key, at),
        rule: rule.to_owned(),
        severity,
        message,
        key,
        window_start: at,
        first_event: at,
        last_event: at,
        count: 1,
        events: Vec::new(),
        labels: BTreeMap::new(),
        plugin: plugin.clone(),
    }
}

/// The first 16 bytes of a SHA-256, in hex. Every part is preceded by its length, so that no two
/// findings can be spelled alike.
fn alert_id(
    plugin: &PluginId,
    rule: &str,
    key: &BTreeMap<String, String>,
    window_start: i64,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(plugin.name.as_bytes());
    add(plugin.version.as_bytes());
    add(rule.as_bytes());
    for (name, value) in key {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(&window_start.to_le_bytes());
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}

/// The text cut at a character, without control characters and without those that turn the direction of
/// writing, which could make a line read as another one.
pub(crate) fn clipped(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    let (kept, _) = text.split_at(end);
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    kept.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect()
}

/// The batch with the plugin's columns in their places.
pub(crate) fn replace_columns(
    plugin: &Blueprint,
    batch: &RecordBatch,
    columns: Vec<ArrayRef>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    if columns.is_empty() {
        return Ok(batch.clone());
    }
    let mut fields: Vec<_> = batch.schema().fields().iter().map(Arc::clone).collect();
    let mut arrays = batch.columns().to_vec();
    for (output, column) in plugin.writes.iter().zip(columns) {
        let place = batch.schema().index_of(&output.name).ok();
        if let Some(place) = place.and_then(|idx| arrays.get_mut(idx)) {
            *place = column;
        } else {
            fields.push(Arc::new(Field::new(&output.name, output.data_type.clone(), true)));
            arrays.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// The batch without the rows given.
pub(crate) fn without<T>(
    batch: &RecordBatch,
    rows: &BTreeMap<u32, T>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let gone: HashSet<usize> = rows.keys().map(|row| *row as usize).collect();
    let keep = BooleanBuffer::collect_bool(batch.num_rows(), |row| !gone.contains(&row));
    filter_record_batch(batch, &BooleanArray::new(keep, None))
}
