//! What the parts of this benchmark share: components, chains of them, and batches made to measure.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use audit_chain::{Engine, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{Batch, RawBatch};
use audit_tests::env;
use serde_json::{Value, json};

use crate::table::{Table, median, rounded};

/// The program's own.
pub(crate) const BATCH_ROWS: usize = 4096;

/// What every part is given.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) n_rows: usize,
    pub(crate) n_runs: usize,
}

impl Bench {
    /// Rounds of something that takes seconds.
    pub(crate) fn few_runs(&self) -> usize {
        self.n_runs.min(3)
    }

    /// `131,072 generated events; medians of 9 rounds`, for the title of a table.
    pub(crate) fn about(&self) -> String {
        format!(
            "{} rows in batches of {BATCH_ROWS}; medians of {} rounds",
            self.n_rows, self.n_runs
        )
    }
}

/// A component of `plugins/`.
pub(crate) fn plugin(name: &str) -> Result<Vec<u8>> {
    read(&env::plugins()?, name)
}

/// A component of `tests/guests/`.
pub(crate) fn guest(name: &str) -> Result<Vec<u8>> {
    fs::read(env::guest(name)?).with_context(|| format!("cannot read the guest {name}"))
}

/// The transform of a template, if its language is on this machine.
pub(crate) fn template(lang: &str) -> Result<Option<Vec<u8>>> {
    let name = format!("mask_{lang}");
    let folder = std::env::var_os("AUDIT_HOST_TEMPLATES").map(PathBuf::from);
    match folder.filter(|folder| folder.join(format!("{name}.wasm")).is_file()) {
        Some(folder) => read(&folder, &name).map(Some),
        None => Ok(None),
    }
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(format!("{name}.wasm"));
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

pub(crate) fn source(component: &[u8], config: &Value) -> PluginSource {
    PluginSource { config: config.to_string(), ..PluginSource::new("bench", component) }
}

pub(crate) fn chain(engine: &Engine, sources: Vec<PluginSource>) -> Result<PluginChain> {
    let plugins = sources.into_iter().map(|source| Plugin::load(engine, source));
    Ok(PluginChain::new(plugins.collect::<Result<_, _>>()?)?)
}

/// A chain of one new plugin, with its default configuration.
pub(crate) fn chain_of(engine: &Engine, component: &[u8]) -> Result<PluginChain> {
    chain(engine, vec![source(component, &json!({}))])
}

/// All batches through the chain, no row lost. Copying the batches does not count.
pub(crate) fn judge_all(chain: &mut PluginChain, batches: &[Batch]) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for batch in batches {
        let n_rows = batch.columns.num_rows();
        let (time, n_kept) = judge(chain, batch)?;
        ensure!(n_kept == n_rows, "{} of {n_rows} rows are missing", n_rows - n_kept);
        total += time;
    }
    Ok(total)
}

/// One batch through the chain, and how many rows are left of it.
pub(crate) fn judge(chain: &mut PluginChain, batch: &Batch) -> Result<(Duration, usize)> {
    let given = copy(batch);
    let started = Instant::now();
    let judged = black_box(chain.judge(black_box(given))?);
    Ok((started.elapsed(), judged.rows.num_rows()))
}

pub(crate) fn copy(batch: &Batch) -> Batch {
    Batch {
        raw: batch.raw.clone(),
        columns: batch.columns.clone(),
        record_of_row: batch.record_of_row.clone(),
        rejected: batch.rejected.clone(),
    }
}

/// The batch with other values in some columns. A chain believes the types that it finds: a column may
/// get any. Payloads are left out, as nothing of them is needed unless a row becomes a dead letter.
pub(crate) fn with_columns(batch: &Batch, columns: &[(&str, ArrayRef)]) -> Result<Batch> {
    let schema = batch.columns.schema();
    let (mut fields, mut arrays) = (schema.fields().to_vec(), batch.columns.columns().to_vec());
    for (name, array) in columns {
        let at = schema.index_of(name)?;
        fields[at] = Arc::new(Field::new(*name, array.data_type().clone(), true));
        arrays[at] = Arc::clone(array);
    }
    let mut raw = RawBatch::empty(Arc::clone(&batch.raw.topic));
    raw.covered = batch.raw.covered.clone();
    Ok(Batch {
        raw,
        columns: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?,
        record_of_row: batch.record_of_row.clone(),
        rejected: Vec::new(),
    })
}

/// Nanoseconds for each of so many.
pub(crate) fn per(times: &[Duration], n: usize) -> f64 {
    median(times.iter().map(Duration::as_secs_f64)) * 1e9 / n as f64
}

pub(crate) fn milliseconds(times: &[Duration]) -> f64 {
    per(times, 1) / 1e6
}

/// The median of the ratios of each round: what disturbs a round disturbs both.
pub(crate) fn ratio(of: &[Duration], to: &[Duration]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of.as_secs_f64() / to.as_secs_f64()))
}

/// A table with a row for each subject: nanoseconds a row, and the ratio to the first subject.
pub(crate) fn to_first(
    title: String,
    what: &str,
    n_rows: usize,
    all: &[(&str, Vec<Duration>)],
) -> Table {
    let mut table = Table::new(title, &[what, "ns/row", "to the first"]);
    let first = all.first().map_or(&[][..], |(_, times)| times);
    for (name, times) in all {
        table.push([json!(name), rounded(per(times, n_rows), 1), rounded(ratio(times, first), 2)]);
    }
    table
}

/// wasmtime has an error type of its own.
pub(crate) fn failed(error: &wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}
