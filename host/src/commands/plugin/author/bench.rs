//! `audit-host plugin bench`: what a plugin costs per row, and at its start, on generated events.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use audit_chain::{Engine, Halvings, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{Batch, ReasonClass};
use audit_generate::{Attack, Generator, Settings};
use serde_json::json;

use super::plugin_args;
use crate::cli::BenchArgs;
use crate::commands::plugin::error::Error;
use crate::feed::{Feed, Stamp};
use crate::stdout::print;

/// Rounds of measuring; the median counts.
const ROUNDS: usize = 7;
/// Starts are slower than rows: fewer suffice.
const STARTS: usize = 3;
/// Time of the first event, and between two: some hundred events a second, as on a busy topic.
const BEGIN: &str = "2025-01-16T08:00:00Z";
const STEP: Duration = Duration::from_millis(9);
const SEED: u64 = 1;
const TOPIC: &str = "audit_events";

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let source = plugin_args::source(&args.given)?;
    let figures = measure(&source, args.rows as usize, args.batch_rows as usize)?;
    print(&if args.json { figures.as_json(args.budget_ns) } else { figures.as_text() })?;
    match args.budget_ns {
        Some(budget_ns) if figures.row_ns > budget_ns as f64 => {
            let Figures { plugin, row_ns, .. } = figures;
            Err(Error::OverBudget { plugin, row_ns, budget_ns }.into())
        }
        _ => Ok(()),
    }
}

/// Medians, except for the peak.
struct Figures {
    /// Name and version.
    plugin: String,
    n_rows: usize,
    batch_rows: usize,
    row_ns: f64,
    /// The fastest and the slowest round.
    row_ns_range: (f64, f64),
    bytes_in: f64,
    bytes_out: f64,
    peak_bytes: usize,
    n_alerts: usize,
    n_quarantined: usize,
    starts: Starts,
}

fn measure(source: &PluginSource, n_rows: usize, batch_rows: usize) -> Result<Figures> {
    let engine = plugin_args::engine()?;
    let starts = starts(&engine, source)?;
    let batches = generated(n_rows, batch_rows)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(round(&engine, source, &batches)?);
    }
    let plugin = load(&engine, source)?;
    let per_row = |round: &Round| round.time.as_secs_f64() * 1e9 / n_rows as f64;
    let times: Vec<f64> = rounds.iter().map(per_row).collect();
    let bytes_in: usize = batches.iter().map(|batch| bytes(&batch.columns, plugin.reads())).sum();
    let last = rounds.last().context("no round was run")?;
    Ok(Figures {
        plugin: format!("{} {}", plugin.id().name, plugin.id().version),
        n_rows,
        batch_rows,
        row_ns: median(times.clone()),
        row_ns_range: (
            times.iter().copied().fold(f64::INFINITY, f64::min),
            times.iter().copied().fold(0.0, f64::max),
        ),
        bytes_in: bytes_in as f64 / n_rows as f64,
        bytes_out: last.bytes_out as f64 / n_rows as f64,
        peak_bytes: rounds.iter().map(|round| round.peak_bytes).max().unwrap_or_default(),
        n_alerts: last.n_alerts,
        n_quarantined: last.n_quarantined,
        starts,
    })
}

fn load(engine: &Engine, source: &PluginSource) -> Result<Plugin> {
    Ok(Plugin::load(engine, source.clone())?)
}

/// Events with attacks and personal data, or plugins would have nothing to do.
fn generated(n_rows: usize, batch_rows: usize) -> Result<Vec<Batch>> {
    let settings = Settings::new(n_rows as u64, BEGIN.parse().context("the time of the start")?);
    let mut generator = Generator::new(Settings {
        seed: SEED,
        step: STEP,
        attacks: Attack::ALL.to_vec(),
        pii: true,
        ..settings
    });
    let mut feed = Feed::new(TOPIC);
    let mut batches = Vec::with_capacity(n_rows.div_ceil(batch_rows));
    for first in (0..n_rows).step_by(batch_rows) {
        let mut events = Vec::with_capacity(batch_rows);
        for _ in first..n_rows.min(first + batch_rows) {
            let mut event = Vec::new();
            generator.next_event(&mut event).context("generating events: too few came")?;
            events.push(event);
        }
        batches.push(feed.batch(&events, Stamp::EventTime)?);
    }
    Ok(batches)
}

/// What one instance did with all batches.
struct Round {
    time: Duration,
    bytes_out: usize,
    peak_bytes: usize,
    n_alerts: usize,
    n_quarantined: usize,
}

fn round(engine: &Engine, source: &PluginSource, batches: &[Batch]) -> Result<Round> {
    let plugin = load(engine, source)?;
    let writes: Vec<String> = plugin.writes().iter().map(|output| output.name.clone()).collect();
    let mut chain = PluginChain::new(vec![plugin])?;
    let mut round =
        Round { time: Duration::ZERO, bytes_out: 0, peak_bytes: 0, n_alerts: 0, n_quarantined: 0 };
    for batch in batches {
        let given = copy(batch);
        let began = Instant::now();
        let judged = chain.judge(given)?;
        round.time += began.elapsed();
        let failed = judged.dead_letters.iter().find(|l| l.class == ReasonClass::PluginFault);
        if let Some(letter) = failed {
            // The time that a failure takes says nothing about judging.
            let (file, reason) = (source.name.clone(), letter.reason.clone());
            return Err(Error::BenchFailed { file, reason }.into());
        }
        if let Some(Halvings { n_times, why, .. }) = chain.take_halvings().into_values().next() {
            // No row was lost, but the plugin fails on batches: a run would take many calls for each.
            let file = source.name.clone();
            let reason = format!("a batch was cut up {n_times} times: {why}");
            return Err(Error::BenchFailed { file, reason }.into());
        }
        round.bytes_out += bytes(&judged.rows, &writes);
        round.n_alerts += judged.alerts.len();
        round.n_quarantined += judged.dead_letters.len();
    }
    round.peak_bytes = chain.peak_bytes();
    Ok(round)
}

/// Columns are shared, records copied: neither counts.
fn copy(batch: &Batch) -> Batch {
    Batch {
        raw: batch.raw.clone(),
        columns: batch.columns.clone(),
        record_of_row: batch.record_of_row.clone(),
        rejected: batch.rejected.clone(),
    }
}

/// Bytes of these columns as they cross the boundary.
fn bytes(rows: &RecordBatch, columns: &[String]) -> usize {
    columns.iter().filter_map(|name| rows.column_by_name(name)).map(|c| crossing(c)).sum()
}

fn crossing(column: &dyn Array) -> usize {
    let n_rows = column.len();
    let values = match column.data_type() {
        DataType::Utf8 => {
            let offsets = column.as_string::<i32>().value_offsets();
            let ends = offsets.first().zip(offsets.last());
            let text = ends.map_or(0, |(first, last)| (last - first).unsigned_abs() as usize);
            text + size_of_val(offsets)
        }
        DataType::Boolean => n_rows,
        DataType::Int32 => 4 * n_rows,
        _ => 8 * n_rows,
    };
    let validity = if column.null_count() == 0 { 0 } else { n_rows.div_ceil(8) };
    values + validity
}

/// Milliseconds of what happens once.
struct Starts {
    /// None if the cache had the compiled code: then nothing was compiled.
    compile_ms: Option<f64>,
    /// With compiled code in the cache: everything until it could judge. None without a cache.
    cached_ms: Option<f64>,
    instantiate_ms: f64,
}

fn starts(engine: &Engine, source: &PluginSource) -> Result<Starts> {
    let sha256 = source.sha256();
    let compile_ms = if engine.has_cached(&source.component, &sha256) {
        None
    } else {
        let interfaces = || engine.interfaces(&source.name, &source.component, &sha256);
        Some(timed(|| interfaces().map(drop))?)
    };
    let (mut cached, mut instantiate) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        // As a start of the program: it has nothing but the cache.
        let fresh = plugin_args::engine()?;
        if fresh.has_cached(&source.component, &sha256) {
            cached.push(timed(|| load(&fresh, source).map(drop))?);
        }
        load(engine, source)?;
        instantiate.push(timed(|| load(engine, source).map(drop))?);
    }
    let cached_ms = (!cached.is_empty()).then(|| median(cached));
    Ok(Starts { compile_ms, cached_ms, instantiate_ms: median(instantiate) })
}

fn timed<E>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn millis(measured: Option<f64>, otherwise: &str) -> String {
    measured.map_or_else(|| otherwise.to_owned(), |millis| format!("{millis:.1} ms"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    values.get(middle).copied().unwrap_or_default()
}

impl Figures {
    fn as_text(&self) -> String {
        let (fastest, slowest) = self.row_ns_range;
        let lines = [
            ("plugin", self.plugin.clone()),
            ("events", format!("{} in batches of {}", self.n_rows, self.batch_rows)),
            ("found", format!("{} alerts, {} quarantined", self.n_alerts, self.n_quarantined)),
            (
                "time",
                format!(
                    "{:.1} ns/row, median of {ROUNDS} rounds ({fastest:.1} to {slowest:.1})",
                    self.row_ns
                ),
            ),
            ("into it", format!("{:.1} bytes/row", self.bytes_in)),
            ("out of it", format!("{:.1} bytes/row", self.bytes_out)),
            ("peak memory", format!("{} KiB", self.peak_bytes.div_ceil(1024))),
            ("compile", millis(self.starts.compile_ms, "the cache has it")),
            ("cached start", millis(self.starts.cached_ms, "no cache")),
            (
                "instantiate",
                format!("{:.2} ms (with describe and configure)", self.starts.instantiate_ms),
            ),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<14}{value}");
        }
        text
    }

    fn as_json(&self, budget_ns: Option<u64>) -> String {
        // Three digits behind the point: more would be noise.
        let short = |number: f64| (number * 1e3).round() / 1e3;
        let (fastest, slowest) = self.row_ns_range;
        let figures = json!({
            "plugin": self.plugin, "rows": self.n_rows, "batch_rows": self.batch_rows,
            "rounds": ROUNDS, "ns_per_row": short(self.row_ns),
            "ns_per_row_min": short(fastest), "ns_per_row_max": short(slowest),
            "bytes_in_per_row": short(self.bytes_in), "bytes_out_per_row": short(self.bytes_out),
            "peak_memory_bytes": self.peak_bytes,
            "alerts": self.n_alerts, "quarantined": self.n_quarantined,
            "compile_ms": self.starts.compile_ms.map(short),
            "cached_start_ms": self.starts.cached_ms.map(short),
            "instantiate_ms": short(self.starts.instantiate_ms),
            "budget_ns": budget_ns,
            "within_budget": budget_ns.map(|budget| self.row_ns <= budget as f64),
        });
        format!("{figures}\n")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_plugin_is_measured() {
        let source = plugin_args::component("builtin:redact_pii").unwrap();
        let figures = measure(&source, 300, 128).unwrap();
        let json: serde_json::Value = serde_json::from_str(&figures.as_json(Some(1))).unwrap();
        assert_eq!((&json["rows"], &json["within_budget"]), (&json!(300), &json!(false)));
        for name in [
            "ns_per_row",
            "bytes_in_per_row",
            "bytes_out_per_row",
            "peak_memory_bytes",
            "instantiate_ms",
        ] {
            assert!(json[name].as_f64().is_some_and(|n| n > 0.0), "{name}: {json}");
        }
        assert!(json["compile_ms"].is_number() || json["cached_start_ms"].is_number(), "{json}");
        assert!(figures.as_text().contains(" bytes/row\n"), "{}", figures.as_text());
        assert_eq!(generated(300, 128).unwrap().len(), 3);
    }

    #[test]
    fn bytes_are_those_that_cross() {
        let columns: [(&str, ArrayRef); 3] = [
            ("text", Arc::new(StringArray::from(vec![Some("abc"), None, Some("é")]))),
            ("yes", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("large", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let of = |name: &str| bytes(&rows, &[name.to_owned()]);
        assert_eq!((of("text"), of("yes"), of("large"), of("none")), (4 * 4 + 5 + 1, 3, 24, 0));
        let cut = rows.slice(1, 2);
        assert_eq!(bytes(&cut, &["text".to_owned()]), 3 * 4 + 2 + 1);
    }
}
