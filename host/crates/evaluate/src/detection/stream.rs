//! A generated stream as batches of columns, and as a file for SQL.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use audit_generate::{Generator, Label, Lookups, Settings};
use audit_plugin_sdk::Batch;
use audit_plugin_sdk::testing::BatchBuilder;
use jiff::Timestamp;

/// Rows of a batch, as the host's are by default.
const BATCH_ROWS: usize = 4096;
/// Kafka time of a batch, in microseconds. The host takes what there is, so a batch of a slow topic is never
/// older than this; a longer one would count as time to detect.
const BATCH_SPAN: i64 = 60_000_000;

pub(super) struct Stream {
    /// Each with the newest time of its records.
    pub(super) batches: Vec<(i64, Batch)>,
    pub(super) labels: Vec<Label>,
    pub(super) lookups: Lookups,
    /// The events for SQL, if somebody wants them.
    pub(super) file: Option<PathBuf>,
    pub(super) span: (i64, i64),
}

/// The columns of text of the table, but for the time.
const TEXTS: [&str; 12] = [
    "audit_id",
    "user_id",
    "user_email",
    "action_type",
    "resource_type",
    "resource_id",
    "resource_name",
    "action_result",
    "ip_address",
    "user_agent",
    "session_id",
    "details",
];

type Fields = BTreeMap<String, String>;

struct Row {
    fields: Fields,
    event_time: i64,
    received: i64,
    index: u64,
}

impl Stream {
    pub(super) fn make(settings: Settings, folder: Option<&Path>) -> Result<Self> {
        let path = folder.map(|folder| folder.join(format!("events-{}.jsonl", settings.seed)));
        let mut file = match &path {
            Some(path) => {
                let file = File::create(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                Some(BufWriter::new(file))
            }
            None => None,
        };
        let mut generator = Generator::new(settings);
        let mut batches = Vec::new();
        let mut rows = Vec::with_capacity(BATCH_ROWS);
        let mut event = Vec::new();
        let mut span = (i64::MAX, i64::MIN);
        while let Some(meta) = generator.next_event(&mut event) {
            if let Some(file) = &mut file {
                file.write_all(&event[..event.len() - 1])?;
                writeln!(file, ", \"received\": {}}}", meta.received_time_us)?;
            }
            let fields: Fields = serde_json::from_slice(&event)?;
            event.clear();
            span = (span.0.min(meta.received_time_us), span.1.max(meta.received_time_us));
            let received = meta.received_time_us;
            let written = fields.get("event_timestamp").context("an event without a time")?;
            let written: Timestamp = format!("{written}Z").parse()?;
            let event_time = written.as_microsecond();
            if is_full(&rows, received) {
                batches.extend(batch(&rows));
                rows.clear();
            }
            rows.push(Row { fields, event_time, received, index: meta.index });
        }
        batches.extend(batch(&rows));
        if let Some(mut file) = file {
            file.flush()?;
        }
        let lookups = generator.lookups().context("only an office has labels of every rule")?;
        Ok(Self { batches, labels: generator.labels().to_vec(), lookups, file: path, span })
    }
}

fn is_full(rows: &[Row], received: i64) -> bool {
    let is_old = rows.first().is_some_and(|first| received - first.received >= BATCH_SPAN);
    is_old || rows.len() == BATCH_ROWS
}

/// A batch with its clock, the newest Kafka timestamp in it. `None` of no rows.
fn batch(rows: &[Row]) -> Option<(i64, Batch)> {
    let clock = rows.iter().map(|row| row.received).max()?;
    let texts = |name| -> Vec<_> {
        rows.iter().map(|row| row.fields.get(name).map(String::as_str)).collect()
    };
    let times = |time: fn(&Row) -> i64| rows.iter().map(|row| Some(time(row))).collect::<Vec<_>>();
    let builder = BatchBuilder::new(rows.len());
    let builder = TEXTS.iter().fold(builder, |builder, name| builder.utf8(name, &texts(*name)));
    let batch = builder
        .timestamp("event_timestamp", &times(|row| row.event_time))
        .timestamp("source_timestamp", &times(|row| row.received))
        .int32("source_partition", &vec![Some(0); rows.len()])
        .int64("source_offset", &times(|row| row.index as i64))
        .build();
    Some((clock, batch))
}
