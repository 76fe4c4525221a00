//! The output of a guest, checked. Everything in it may be wrong on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use audit_core::text::clipped;
use audit_core::{Alert, PluginId, Position, Severity, schema};
use sha2::{Digest, Sha256};

use crate::plugin::spec::{Blueprint, PluginKind};
use crate::text;
use crate::wasm::abi::audit_host::plugin::types;
use crate::wasm::abi::lift;

/// Alerts that a small batch may raise.
const ALERTS_MIN: usize = 1000;
/// And for each row of a large one: a rule with a time window may raise alerts for everybody at once.
const ALERTS_PER_ROW: usize = 2;
/// Events that an alert may cite.
const EVENTS_MAX: usize = 100;
/// Labels, and key columns, of one alert.
const FIELDS_MAX: usize = 16;
/// Bytes of a rule's name, a key, a label.
const TEXT_BYTES_MAX: usize = 256;

/// Alerts that so many rows may raise: more means that the rule is broken.
pub(crate) fn alerts_max(n_rows: usize) -> usize {
    ALERTS_MIN.max(n_rows.saturating_mul(ALERTS_PER_ROW))
}

/// A judgement that passed every check.
pub(crate) struct GuestOutput {
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
) -> Result<GuestOutput, String> {
    Ok(GuestOutput {
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
            // The message leaves the guest's name out: it may be anything.
            return Err(format!("another column where {:?} was declared", declared.name));
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
        let reason = text::message(&reason);
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
    // The id is made from the whole key: keys that are equal once cut are still different findings.
    let whole_key =
        alert.key.iter().map(|field| (field.name.clone(), field.value.clone())).collect();
    let key = check_fields(alert.key)?;
    if key.keys().any(|name| !plugin.key_columns.contains(name)) {
        return Err("an alert with a key that is not a key column of the plugin".to_owned());
    }
    let events = alert.events.iter().take(EVENTS_MAX).map(|at| Position {
        topic: Arc::clone(topic),
        partition: at.partition,
        offset: at.offset,
    });
    Ok(Alert {
        id: alert_id(&plugin.id, &alert.rule, &whole_key, alert.window_start),
        severity: severity(alert.severity),
        message: text::message(&alert.message),
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

/// The first 16 bytes of a SHA-256, in hex. Every part is preceded by its length, so that no two findings
/// hash the same bytes.
pub(crate) fn alert_id(
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
