//! What sandbox and boundary cost of everything: decoding, all built-in plugins and writing files, beside the
//! same with the plugins compiled natively. One process and one thread, without broker and commits: a second of
//! time is one of the CPU.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use audit_core::RawBatch;
use audit_core::stage::{Chain, Decoder, Writer};
use audit_tests::env;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, per, ratio};
use crate::rates::{self, Subject};
use crate::table::{Table, rounded};
use crate::{events, files};

const OPEN_PARTITIONS_MAX: usize = 128;

/// Times of each part, by round.
#[derive(Default)]
struct Times {
    decoding: Vec<Duration>,
    native: Vec<Duration>,
    components: Vec<Duration>,
    writing: Vec<Duration>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let subjects = rates::builtin()?;
    let records = events::records(bench.n_rows, BATCH_ROWS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = Times::default();
    for _ in 0..bench.n_runs {
        round(bench, &runtime, &subjects, &records, &mut times)?;
    }
    let Times { decoding, native, components, writing } = &times;
    let all = |judging: &[Duration]| -> Vec<Duration> {
        let parts = decoding.iter().zip(judging).zip(writing);
        parts.map(|((decoding, judging), writing)| *decoding + *judging + *writing).collect()
    };
    let title = format!("all eight plugins, {}", bench.about());
    let mut table = Table::new(title, &["what", "native, ns/row", "components, ns/row", "ratio"]);
    let (all_native, all_components) = (all(native), all(components));
    for (what, native, components) in [
        ("decoding", decoding, decoding),
        ("plugins", native, components),
        ("writing files", writing, writing),
        ("together", &all_native, &all_components),
    ] {
        table.push([
            json!(what),
            rounded(per(native, bench.n_rows), 1),
            rounded(per(components, bench.n_rows), 1),
            rounded(ratio(components, native), 2),
        ]);
    }
    Ok(vec![table])
}

fn round(
    bench: &Bench,
    runtime: &tokio::runtime::Runtime,
    subjects: &[Subject],
    records: &[RawBatch],
    times: &mut Times,
) -> Result<()> {
    let lookups = rates::roles()?;
    let mut decoder = events::decoder();
    let given = records.to_vec();
    let started = Instant::now();
    let batches =
        given.into_iter().map(|raw| decoder.decode(raw)).collect::<Result<Vec<_>, _>>()?;
    times.decoding.push(started.elapsed());

    let native = subjects.iter().map(|subject| subject.natively(&batches));
    times.native.push(native.sum::<Result<Duration>>()?);

    let sources = subjects.iter().map(|subject| subject.source(&lookups)).collect();
    let mut chain = chains::chain(&bench.engine, sources)?;
    let started = Instant::now();
    let judged =
        batches.into_iter().map(|batch| chain.judge(batch)).collect::<Result<Vec<_>, _>>()?;
    times.components.push(started.elapsed());

    let dir = env::folder("whole")?;
    let mut writer =
        runtime.block_on(files::open(&dir, OPEN_PARTITIONS_MAX, chain.added_columns()))?;
    let (mut n_rows, started) = (0, Instant::now());
    for batch in judged {
        writer.write(&batch.topic, batch.rows)?;
        if writer.is_full() {
            n_rows += writer.seal()?.n_rows;
        }
    }
    n_rows += writer.seal()?.n_rows;
    times.writing.push(started.elapsed());
    ensure!(n_rows == bench.n_rows as u64, "{n_rows} rows were written of {}", bench.n_rows);
    Ok(fs::remove_dir_all(dir)?)
}
