//! The peak memory of the whole program, over topics of Apache Kafka that differ in what memory depends on: how many
//! files are open at a time, how large rows are, how well they compress, from how many partitions they come.
//!
//! `cargo xtask bench memory`, or `cargo bench -p audit-tests --bench memory` with the variables of tests/README.md.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "shapes.rs"]
mod shapes;
#[path = "table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::broker;
use audit_tests::case::Case;
use serde_json::json;
use shapes::{SHAPES, Shape};
use table::{Args, Table, median, rounded};

const RUNS: usize = 3;
/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(10);
const MIB: f64 = (1 << 20) as f64;

/// What one run took and left.
struct Run {
    peak_mib: f64,
    /// By the program's own clock, from connected to the last commit.
    rows_per_second: f64,
    n_commits: f64,
    n_files: f64,
    table_mib: f64,
}

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let n_runs = args.runs.unwrap_or(RUNS);
    let is_wanted = |shape: &&Shape| args.part.as_deref().is_none_or(|part| part == shape.name);
    let wanted: Vec<_> = SHAPES.iter().filter(is_wanted).collect();
    let names: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
    ensure!(!wanted.is_empty(), "no shape of this name; available: {}", names.join(", "));
    let columns = [
        "shape",
        "Kafka partitions",
        "table partitions",
        "events",
        "peak RSS, MiB",
        "highest, MiB",
        "rows/s",
        "commits",
        "files",
        "table, MiB",
    ];
    let title = format!("Peak memory (VmHWM) without plugins; medians of {n_runs} runs");
    let mut table = Table::new(title, &columns);
    for shape in wanted {
        let n_events = args.rows.unwrap_or(shape.n_events);
        let runs = measure(shape, n_events, n_runs)?;
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
        table.push([
            json!(shape.name),
            json!(shape.n_kafka_partitions),
            json!(shape.n_table_partitions()),
            json!(n_events),
            rounded(of(|run| run.peak_mib), 0),
            rounded(runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max), 0),
            rounded(of(|run| run.rows_per_second), 0),
            rounded(of(|run| run.n_commits), 0),
            rounded(of(|run| run.n_files), 0),
            rounded(of(|run| run.table_mib), 0),
        ]);
    }
    args.report(&[table])
}

fn measure(shape: &Shape, n_events: usize, n_runs: usize) -> Result<Vec<Run>> {
    let topic = Case::new(&format!("memory-{}", shape.name), shape.n_kafka_partitions)?;
    shapes::produce(shape, &topic.topic, n_events)?;
    let runs = (0..n_runs).map(|at| {
        let case = topic.beside(&format!("memory-{}-{at}", shape.name))?;
        let run = run(&case, n_events).with_context(|| format!("the shape {}", shape.name))?;
        println!(
            "  {}, run {}: {:.0} MiB, {:.0} rows/s, {} files in {} commits",
            shape.name,
            at + 1,
            run.peak_mib,
            run.rows_per_second,
            run.n_files,
            run.n_commits
        );
        fs::remove_dir_all(&case.dir)
            .with_context(|| format!("cannot remove {}", case.dir.display()))?;
        Ok(run)
    });
    let runs = runs.collect::<Result<Vec<_>>>()?;
    broker::delete_topic(&topic.topic)?;
    Ok(runs)
}

fn run(case: &Case, n_events: usize) -> Result<Run> {
    let ended = case.host()?.args(&["--until-end"]).start()?.wait(LIMIT)?.success()?;
    let done = ended.stderr.lines().rev().find_map(|line| line.split_once("done: "));
    let (_, done) = done.context("no line `done:` in the log")?;
    let words: Vec<_> = done.split([',', ' ']).collect();
    let number = |what: &str| {
        let at = words.windows(2).position(|pair| pair[1] == what)?;
        words[at].parse::<f64>().ok()
    };
    let n_rows = number("rows").with_context(|| format!("no number of rows in `{done}`"))?;
    ensure!(n_rows as usize == n_events, "{n_rows} rows of {n_events} events");
    let (n_files, bytes) = parquet_files(&case.dir.join("warehouse"))?;
    Ok(Run {
        peak_mib: ended.peak_rss_bytes()? as f64 / MIB,
        rows_per_second: number("events/s").context("no rate")?,
        n_commits: number("commits").context("no number of commits")?,
        n_files: n_files as f64,
        table_mib: bytes as f64 / MIB,
    })
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
