//! Each plugin as a component in the chain, beside the same code run natively.
//!
//! Native is the code that the component runs, called through the SDK with the columns in its hands
//! already. The component's time is that of the whole chain: columns into the sandbox, the plugin, its
//! answer back, every check of the answer. So the ratio holds the boundary and the slower code.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "../guests/copy-column/src/lib.rs"]
mod copy_column;
#[path = "events.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod events;
#[path = "native.rs"]
mod native;
#[path = "table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use audit_chain::{Engine, Plugin, PluginChain, PluginSource};
use audit_core::Batch;
use audit_core::stage::Chain;
use audit_tests::env;
use copy_column::CopyColumn;
use detect_failed_logins::DetectFailedLogins;
use redact_pii::RedactPii;
use serde_json::json;
use table::{Args, Table, median, rounded};
use wasmtime::component::{Component, Linker};

const ROWS: usize = 131_072;
const RUNS: usize = 9;
/// The program's own, and twice it.
const BATCH_ROWS: [usize; 2] = [4096, 8192];

/// A plugin both ways.
struct Subject {
    name: &'static str,
    component: Vec<u8>,
    native: fn(&[Batch]) -> Result<Duration>,
}

/// Times of one plugin in one batch size, by round.
#[derive(Default)]
struct Times {
    native: Vec<Duration>,
    wasm: Vec<Duration>,
}

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let (n_rows, n_runs) = (args.rows.unwrap_or(ROWS), args.runs.unwrap_or(RUNS));
    let subjects = subjects()?;
    let engine = Engine::new()?;
    let title = format!("{n_rows} generated events; medians of {n_runs} rounds");
    let columns = ["plugin", "rows a batch", "native, ns/row", "component, ns/row", "ratio"];
    let mut rows = Table::new(title, &columns);
    for batch_rows in BATCH_ROWS {
        let batches = events::batches(n_rows, batch_rows)?;
        let mut times: Vec<Times> = subjects.iter().map(|_| Times::default()).collect();
        for _ in 0..n_runs {
            for (subject, times) in subjects.iter().zip(&mut times) {
                times.native.push((subject.native)(&batches)?);
                times.wasm.push(in_chain(&engine, subject, &batches)?);
            }
        }
        for (subject, times) in subjects.iter().zip(&times) {
            push(&mut rows, subject.name, batch_rows, times, n_rows);
        }
    }
    args.report(&[rows, starts(&subjects, &engine, n_runs)?])
}

fn subjects() -> Result<Vec<Subject>> {
    let guests = std::env::var_os("AUDIT_HOST_GUESTS").map(PathBuf::from);
    let guests = guests.context("AUDIT_HOST_GUESTS is not set; run `cargo xtask bench plugin`")?;
    let plugins = env::plugins()?;
    let read = |folder: &PathBuf, name: &str| {
        let path = folder.join(format!("{name}.wasm"));
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(vec![
        Subject {
            name: "copy_column",
            component: read(&guests, "copy_column")?,
            native: native::transform::<CopyColumn>,
        },
        Subject {
            name: "detect_failed_logins",
            component: read(&plugins, "detect_failed_logins")?,
            native: native::detect::<DetectFailedLogins>,
        },
        Subject {
            name: "redact_pii",
            component: read(&plugins, "redact_pii")?,
            native: native::transform::<RedactPii>,
        },
    ])
}

fn load(engine: &Engine, subject: &Subject) -> Result<Plugin> {
    let source = PluginSource::new(subject.name, subject.component.clone());
    Ok(Plugin::load(engine, source)?)
}

/// All batches through a chain of one new plugin. Copying the batches does not count.
fn in_chain(engine: &Engine, subject: &Subject, batches: &[Batch]) -> Result<Duration> {
    let mut chain = PluginChain::new(vec![load(engine, subject)?])?;
    let mut total = Duration::ZERO;
    for batch in batches {
        let given = copy(batch);
        let n_rows = given.columns.num_rows();
        let started = Instant::now();
        let judged = black_box(chain.judge(black_box(given))?);
        total += started.elapsed();
        ensure!(judged.rows.num_rows() == n_rows, "{}: rows are missing", subject.name);
    }
    Ok(total)
}

fn copy(batch: &Batch) -> Batch {
    Batch {
        raw: batch.raw.clone(),
        columns: batch.columns.clone(),
        record_of_row: batch.record_of_row.clone(),
        rejected: batch.rejected.clone(),
    }
}

fn push(table: &mut Table, name: &str, batch_rows: usize, times: &Times, n_rows: usize) {
    let seconds = |times: &[Duration]| median(times.iter().map(Duration::as_secs_f64));
    let per_row = |times: &[Duration]| seconds(times) * 1e9 / n_rows as f64;
    let pairs = times.wasm.iter().zip(&times.native);
    let ratio = median(pairs.map(|(wasm, native)| wasm.as_secs_f64() / native.as_secs_f64()));
    table.push([
        json!(name),
        json!(batch_rows),
        rounded(per_row(&times.native), 1),
        rounded(per_row(&times.wasm), 1),
        rounded(ratio, 2),
    ]);
}

/// What a plugin costs once, at the start of the program.
fn starts(subjects: &[Subject], ours: &Engine, n_runs: usize) -> Result<Table> {
    let title = format!("Once for each plugin; medians of {n_runs} rounds");
    let columns = ["plugin", "KiB", "compile, ms", "instantiate, ms", "load, ms"];
    let mut table = Table::new(title, &columns);
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true).epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).map_err(|error| failed(&error))?;
    for subject in subjects {
        let (mut compile, mut instantiate, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n_runs {
            let started = Instant::now();
            let component =
                Component::new(&engine, &subject.component).map_err(|error| failed(&error))?;
            compile.push(milliseconds(started));
            // Imports are not called by a start.
            let mut linker = Linker::<()>::new(&engine);
            linker.define_unknown_imports_as_traps(&component).map_err(|error| failed(&error))?;
            let mut store = wasmtime::Store::new(&engine, ());
            store.set_epoch_deadline(1);
            let started = Instant::now();
            black_box(linker.instantiate(&mut store, &component).map_err(|error| failed(&error))?);
            instantiate.push(milliseconds(started));
            let started = Instant::now();
            black_box(load(ours, subject)?);
            whole.push(milliseconds(started));
        }
        table.push([
            json!(subject.name),
            json!(subject.component.len() / 1024),
            rounded(median(compile), 1),
            rounded(median(instantiate), 2),
            rounded(median(whole), 1),
        ]);
    }
    Ok(table)
}

/// wasmtime has an error type of its own.
fn failed(error: &wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
