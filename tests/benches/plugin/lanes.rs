//! Two chains on two threads, each with half of the batches, beside one chain with all.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use audit_chain::PluginChain;
use audit_core::Batch;
use audit_core::stage::Chain;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, per, ratio};
use crate::events;
use crate::table::{Table, rounded};

/// A chain and what it is to judge.
type Lane = (PluginChain, Vec<Batch>);

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let n_cores = thread::available_parallelism().map_or(1, Into::into);
    let title = format!("Lanes, on {n_cores} cores; {}", bench.about());
    let columns = ["plugin", "1 lane, ns/row", "2 lanes, ns/row", "1 lane to 2 lanes"];
    let mut table = Table::new(title, &columns);
    let batches = events::batches(bench.n_rows, BATCH_ROWS)?;
    let components = [
        ("copy_column", chains::guest("copy_column")?),
        ("redact_pii", chains::plugin("redact_pii")?),
    ];
    for (name, component) in components {
        let lanes = |n_lanes: usize| -> Result<Vec<Lane>> {
            let size = batches.len().div_ceil(n_lanes).max(1);
            let lane = |part: &[Batch]| {
                let chain = chains::chain_of(&bench.engine, &component)?;
                Ok((chain, part.iter().map(chains::copy).collect()))
            };
            batches.chunks(size).map(lane).collect()
        };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..bench.n_runs {
            one.push(at_once(lanes(1)?)?);
            two.push(at_once(lanes(2)?)?);
        }
        table.push([
            json!(name),
            rounded(per(&one, bench.n_rows), 1),
            rounded(per(&two, bench.n_rows), 1),
            rounded(ratio(&one, &two), 2),
        ]);
    }
    Ok(vec![table])
}

/// From the time at which all may begin until the last one is done.
fn at_once(lanes: Vec<Lane>) -> Result<Duration> {
    let barrier = Barrier::new(lanes.len());
    let run = |(mut chain, batches): Lane| -> Result<(Instant, Instant)> {
        barrier.wait();
        let started = Instant::now();
        for batch in batches {
            let n_rows = batch.columns.num_rows();
            let judged = black_box(chain.judge(black_box(batch))?);
            ensure!(judged.rows.num_rows() == n_rows, "rows are missing");
        }
        Ok((started, Instant::now()))
    };
    let run = &run;
    let times = thread::scope(|scope| {
        let threads = lanes.into_iter().map(|lane| scope.spawn(move || run(lane)));
        // All are started before the first is waited for.
        let threads: Vec<_> = threads.collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a lane panicked")).flatten());
        joined.collect::<Result<Vec<_>>>()
    })?;
    let first = times.iter().map(|(started, _)| *started).min();
    let last = times.iter().map(|(_, ended)| *ended).max();
    Ok(first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first))
}
