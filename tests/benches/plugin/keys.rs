//! Detectors with a million different keys: the cost of a state that holds them all, and of one that is
//! bounded by default and evicts most of them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use audit_chain::{Limits, PluginSource};
use audit_core::stage::Chain;
use audit_core::{Batch, schema};
use serde_json::{Value, json};

use crate::chains::{self, BATCH_ROWS, Bench};
use crate::events;
use crate::rates::{self, Subject};
use crate::table::{Table, rounded};

const N_KEYS: usize = 1_000_000;
/// So many keys, and as large a state as there may be.
const ALL_KEYS: (usize, usize) = (N_KEYS, 1 << 30);
const MEMORY_BYTES: usize = 4 << 30;

/// A detector, and what makes each event one that it remembers.
const DETECTORS: [(&str, &str, &str); 6] = [
    ("detect_failed_logins", "user_login", "failure"),
    ("detect_ip_spread", "data_read", "success"),
    ("detect_mass_export", "data_export", "success"),
    ("detect_off_hours", "data_read", "success"),
    ("detect_privilege_change", "permission_grant", "success"),
    ("detect_unusual_volume", "data_read", "success"),
];

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let title =
        format!("{N_KEYS} events of as many users and addresses, each one remembered; one run");
    let columns = [
        "plugin",
        "max-keys",
        "ns/row",
        "linear memory, MiB",
        "state, MiB",
        "snapshot, ms",
        "restore, ms",
        "evictions reported",
    ];
    let mut table = Table::new(title, &columns);
    let lookups = rates::roles()?;
    let subjects = rates::builtin()?;
    let plain = events::batches(N_KEYS, BATCH_ROWS)?;
    for (name, action, result) in DETECTORS {
        let subject = subjects.iter().find(|subject| subject.name == name);
        let subject = subject.with_context(|| format!("no {name}"))?;
        let batches = of_many(&plain, action, result)?;
        for limits in [None, Some(ALL_KEYS)] {
            let source = || with_limits(subject, subject.source(&lookups), limits);
            table.push(row(bench, name, limits, &source, &batches)?);
        }
    }
    Ok(vec![table])
}

fn with_limits(
    subject: &Subject,
    source: PluginSource,
    limits: Option<(usize, usize)>,
) -> PluginSource {
    let Some((keys, bytes)) = limits else { return source };
    let mut config = subject.config.clone();
    config["max-keys"] = json!(keys);
    config["state-bytes-max"] = json!(bytes);
    let memory = Limits { memory_bytes: MEMORY_BYTES, output_bytes: 1 << 30, ..source.limits };
    PluginSource { config: config.to_string(), limits: memory, ..source }
}

fn row(
    bench: &Bench,
    name: &str,
    limits: Option<(usize, usize)>,
    source: &dyn Fn() -> PluginSource,
    batches: &[Batch],
) -> Result<[Value; 8]> {
    let mut chain = chains::chain(&bench.engine, vec![source()])?;
    let (mut time, mut n_evictions) = (std::time::Duration::ZERO, 0);
    for batch in batches {
        let given = chains::copy(batch);
        let started = Instant::now();
        let judged = chain.judge(given)?;
        time += started.elapsed();
        ensure!(judged.dead_letters.is_empty(), "{name}: {:?}", judged.dead_letters.first());
        n_evictions += judged.alerts.iter().filter(|alert| alert.rule.ends_with("evicted")).count();
    }
    let started = Instant::now();
    let states = chain.snapshot()?;
    let snapshot = started.elapsed();
    let state = states.first().with_context(|| format!("{name}: no state"))?;
    let mut restored = chains::chain(&bench.engine, vec![source()])?;
    let started = Instant::now();
    restored.restore(&states)?;
    let restore = started.elapsed();
    let mib = |bytes: usize| rounded(bytes as f64 / f64::from(1 << 20), 1);
    Ok([
        json!(name),
        limits.map_or(json!("default"), |(keys, _)| json!(keys)),
        rounded(time.as_secs_f64() * 1e9 / N_KEYS as f64, 1),
        mib(chain.peak_bytes()),
        mib(state.bytes.len()),
        rounded(snapshot.as_secs_f64() * 1e3, 1),
        rounded(restore.as_secs_f64() * 1e3, 1),
        json!(n_evictions),
    ])
}

/// The Kafka time of all events: nothing is late.
fn now(n_rows: usize) -> TimestampMicrosecondArray {
    let times = std::iter::repeat_n(events::KAFKA_TIME_MS * 1000, n_rows);
    TimestampMicrosecondArray::from_iter_values(times).with_timezone(schema::UTC)
}

/// Each event by another user from another address.
fn of_many(batches: &[Batch], action: &str, result: &str) -> Result<Vec<Batch>> {
    let mut first = 0;
    let filled = batches.iter().map(|batch| {
        let n_rows = batch.columns.num_rows();
        let keys = first..first + n_rows;
        first += n_rows;
        let address = |key: usize| format!("10.{}.{}.{}", key >> 16, key >> 8 & 255, key & 255);
        let text = |values: StringArray| Arc::new(values) as ArrayRef;
        let all =
            |value: &str| text(StringArray::from_iter_values(std::iter::repeat_n(value, n_rows)));
        let users = keys.clone().map(|key| format!("user_{key:07}"));
        let mut filled = chains::with_columns(
            batch,
            &[
                ("user_id", text(StringArray::from_iter_values(users))),
                ("ip_address", text(StringArray::from_iter_values(keys.map(address)))),
                ("action_type", all(action)),
                ("action_result", all(result)),
                ("event_timestamp", Arc::new(now(n_rows))),
            ],
        )?;
        // The clock that a detector goes by is that of the records.
        for record in &batch.raw.records {
            filled.raw.push(record.partition, record.offset, record.timestamp_ms, b"");
        }
        Ok(filled)
    });
    filled.collect()
}
