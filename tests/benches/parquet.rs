//! Rows to files by partition, through the program's own writer, beside a plain Parquet writer.
//!
//! `cargo xtask bench parquet`, or `AUDIT_HOST_TMP=DIR cargo bench -p audit-tests --bench parquet`.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "events.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod events;
#[path = "files.rs"]
mod files;
#[path = "table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use audit_core::schema;
use audit_core::stage::Writer;
use audit_tests::env;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;
use table::{Args, Table, median, rounded};
use tokio::runtime::Runtime;

const ROWS: usize = 262_144;
const RUNS: usize = 9;
/// Where files are closed and opened all the time a few rows are enough, and more would take minutes.
const ROWS_OVERFLOWING: usize = 65_536;
/// As many as the program decodes at a time.
const BATCH_ROWS: usize = 4096;
/// The program's default, and one that is enough for all partitions here.
const OPEN_PARTITIONS_MAX: usize = 128;
const OPEN_PARTITIONS_ENOUGH: usize = 512;
const DAY_US: i64 = 86_400_000_000;
const N_DAYS: usize = 30;

/// What a round wrote.
struct Round {
    time: Duration,
    n_files: usize,
    bytes: u64,
}

/// A way to write, and its rounds so far.
struct Subject {
    name: &'static str,
    batches: Vec<RecordBatch>,
    /// Files open at a time; `None` for the plain writer.
    open_partitions_max: Option<usize>,
    rounds: Vec<Round>,
}

impl Subject {
    fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let (n_rows, n_runs) = (args.rows.unwrap_or(ROWS), args.runs.unwrap_or(RUNS));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut subjects = subjects(n_rows)?;
    for _ in 0..n_runs {
        for subject in &mut subjects {
            let dir = env::folder("files")?;
            let time = match subject.open_partitions_max {
                None => plain(&subject.batches, &dir)?,
                Some(max) => through_sink(&runtime, subject, max, &dir)?,
            };
            let (n_files, bytes) = parquet_files(&dir)?;
            ensure!(n_files > 0, "{}: no file", subject.name);
            subject.rounds.push(Round { time, n_files, bytes });
            fs::remove_dir_all(&dir)?;
        }
    }
    args.report(&[report(&subjects, n_rows, n_runs)])
}

fn subjects(n_rows: usize) -> Result<Vec<Subject>> {
    let decoded = events::batches(n_rows, BATCH_ROWS)?;
    let as_made: Vec<_> = decoded.into_iter().map(|batch| batch.columns).collect();
    let one: Vec<_> = as_made.iter().map(of_one_partition).collect::<Result<_>>()?;
    let spread: Vec<_> = as_made.iter().map(over_days).collect::<Result<_>>()?;
    let few = &spread[..spread.len().min(ROWS_OVERFLOWING / BATCH_ROWS)];
    let subject = |name, batches: &[RecordBatch], open_partitions_max| Subject {
        name,
        batches: batches.to_vec(),
        open_partitions_max,
        rounds: Vec::new(),
    };
    Ok(vec![
        subject("ArrowWriter, zstd 1, one file", &as_made, None),
        subject("1 partition", &one, Some(OPEN_PARTITIONS_MAX)),
        subject("14 partitions", &as_made, Some(OPEN_PARTITIONS_MAX)),
        subject("14 x 30 partitions, 512 may be open", &spread, Some(OPEN_PARTITIONS_ENOUGH)),
        subject("14 x 30 partitions, 128 may be open", few, Some(OPEN_PARTITIONS_MAX)),
    ])
}

/// All rows do the same on one day.
fn of_one_partition(batch: &RecordBatch) -> Result<RecordBatch> {
    let same = std::iter::repeat_n(Some("data_read"), batch.num_rows());
    with_column(batch, schema::ACTION_TYPE, Arc::new(same.collect::<StringArray>()))
}

/// Neighbours stand on different days, which is the worst that can come.
fn over_days(batch: &RecordBatch) -> Result<RecordBatch> {
    let times = batch.column_by_name(schema::EVENT_TIMESTAMP).context("no time")?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let moved = times
        .iter()
        .enumerate()
        .map(|(row, time)| time.map(|time| time + (row % N_DAYS) as i64 * DAY_US));
    let moved = moved.collect::<TimestampMicrosecondArray>().with_timezone(schema::UTC);
    with_column(batch, schema::EVENT_TIMESTAMP, Arc::new(moved))
}

fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(name)?] = column;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// What one would write without a table: one file, defaults and the same compression.
fn plain(batches: &[RecordBatch], dir: &Path) -> Result<Duration> {
    let first = batches.first().context("no batch")?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?));
    let file = File::create(dir.join("plain.parquet"))?;
    let started = Instant::now();
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties.build()))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(started.elapsed())
}

/// Through the writer of the program, epochs ending where it asks for it.
fn through_sink(
    runtime: &Runtime,
    subject: &Subject,
    open_partitions_max: usize,
    dir: &Path,
) -> Result<Duration> {
    let mut writer = runtime.block_on(files::open(dir, open_partitions_max, &[]))?;
    let topic: Arc<str> = Arc::from(events::TOPIC);
    let mut n_rows = 0;
    let started = Instant::now();
    for batch in &subject.batches {
        writer.write(&topic, batch.clone())?;
        if writer.is_full() {
            n_rows += writer.seal()?.n_rows;
        }
    }
    n_rows += writer.seal()?.n_rows;
    let time = started.elapsed();
    let given = subject.n_rows();
    ensure!(n_rows == given as u64, "{n_rows} rows were written of {given}");
    Ok(time)
}

/// Number and bytes of the Parquet files below a folder.
fn parquet_files(dir: &Path) -> Result<(usize, u64)> {
    let (mut n_files, mut bytes) = (0, 0);
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let below = parquet_files(&path)?;
            n_files += below.0;
            bytes += below.1;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            n_files += 1;
            bytes += path.metadata()?.len();
        }
    }
    Ok((n_files, bytes))
}

fn report(subjects: &[Subject], n_rows: usize, n_runs: usize) -> Table {
    let title = format!(
        "{n_rows} decoded events in batches of {BATCH_ROWS} (fewer where files must be closed early); files \
         are closed, not committed; medians of {n_runs} rounds"
    );
    let columns = ["writer", "rows", "ns/row", "rows/s", "to ArrowWriter", "files", "bytes/row"];
    let mut table = Table::new(title, &columns);
    for subject in subjects {
        let n_rows = subject.n_rows() as f64;
        let per_row = |of: &Subject, round: &Round| round.time.as_secs_f64() / of.n_rows() as f64;
        let time = median(subject.rounds.iter().map(|round| per_row(subject, round)));
        let plain = &subjects[0];
        let pairs = subject.rounds.iter().zip(&plain.rounds);
        let ratio = median(pairs.map(|(own, other)| per_row(subject, own) / per_row(plain, other)));
        let n_files = subject.rounds.first().map_or(0, |round| round.n_files);
        let bytes = median(subject.rounds.iter().map(|round| round.bytes as f64));
        table.push([
            json!(subject.name),
            rounded(n_rows, 0),
            rounded(time * 1e9, 0),
            rounded(1.0 / time, 0),
            rounded(ratio, 2),
            json!(n_files),
            rounded(bytes / n_rows, 1),
        ]);
    }
    table
}
