//! A detector with a large state: what a swap, and keeping batches for a replay, cost then.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use arrow::array::{ArrayRef, StringArray};
use audit_chain::{Engine, Place, Plugin};
use audit_core::stage::Chain;
use audit_core::{Batch, PluginState};
use audit_plugin_sdk::{Config, Detector};
use detect_failed_logins::DetectFailedLogins;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, milliseconds};
use crate::events;
use crate::table::{Table, median, quantile, rounded};

/// Addresses that `detect_failed_logins` remembers; the last is the most that it does by default.
const N_KEYS: [usize; 3] = [0, 10_000, 100_000];
const N_SWAPS: usize = 500;
/// After each batch: about 200,000 rows a second.
const PACE: Duration = Duration::from_millis(20);
/// The epoch of 5 s.
const BATCHES_OF_EPOCH: usize = 244;
/// So many rows, or 16 MiB of columns, are kept before a snapshot is taken.
const N_BATCHES: usize = 96;

/// A plugin with what it remembers.
struct Subject {
    name: String,
    component: Vec<u8>,
    state: Option<PluginState>,
}

/// Swaps while another thread judges.
pub(crate) fn swaps(bench: &Bench) -> Result<Vec<Table>> {
    let title = format!(
        "{N_SWAPS} swaps of a plugin for itself, while 200,000 rows a second are judged in batches of {BATCH_ROWS}"
    );
    let columns = [
        "plugin",
        "state, KiB",
        "pause p50, ms",
        "p99, ms",
        "max, ms",
        "over 10 ms",
        "a batch p50, ms",
        "pause to batch",
    ];
    let mut table = Table::new(title, &columns);
    let component = chains::plugin("redact_pii")?;
    let redact = Subject { name: "redact_pii".to_owned(), component, state: None };
    let mut subjects = vec![redact];
    subjects.extend(detectors(&bench.engine)?);
    let batches = quiet(&events::batches(16 * BATCH_ROWS, BATCH_ROWS)?)?;
    for subject in subjects {
        let (pauses, judged) = swapped(&bench.engine, &subject, &batches)?;
        let ms = |share| quantile(pauses.iter().map(|pause| pause.as_secs_f64() * 1e3), share);
        let n_over = pauses.iter().filter(|pause| pause.as_millis() >= 10).count();
        let batch = milliseconds(&judged);
        table.push([
            json!(subject.name),
            json!(subject.state.map_or(0, |state| state.bytes.len() / 1024)),
            rounded(ms(0.5), 3),
            rounded(ms(0.99), 3),
            rounded(ms(1.0), 3),
            json!(n_over),
            rounded(batch, 3),
            rounded(ms(0.5) / batch, 2),
        ]);
    }
    Ok(vec![table])
}

/// What a detector pays for being able to go on after a failure.
pub(crate) fn replay(bench: &Bench) -> Result<Vec<Table>> {
    let title = format!(
        "detect_failed_logins and its snapshots, {N_BATCHES} batches of {BATCH_ROWS}; medians of {} rounds",
        bench.n_runs
    );
    let columns = [
        "plugin",
        "state, KiB",
        "one snapshot, ms",
        "natively, ms",
        "one restore, ms",
        "natively, ms",
        "all, ns/row",
        "median batch, ns/row",
        "all to median",
        "slowest batch, ms",
        "batches twice the median",
    ];
    let mut table = Table::new(title, &columns);
    let batches = quiet(&events::batches(16 * BATCH_ROWS, BATCH_ROWS)?)?;
    for subject in detectors(&bench.engine)? {
        let (mut snapshots, mut restores) = (Vec::new(), Vec::new());
        let (mut native_snapshots, mut native_restores) = (Vec::new(), Vec::new());
        let (mut all, mut middle) = (Vec::new(), Vec::new());
        let (mut slowest, mut n_slow) = (Vec::new(), Vec::new());
        for _ in 0..bench.n_runs {
            let mut chain = chains::chain_of(&bench.engine, &subject.component)?;
            let started = Instant::now();
            chain.restore(subject.state.as_slice())?;
            restores.push(started.elapsed());
            if let Some(state) = &subject.state {
                let (restore, snapshot) = natively(state)?;
                native_restores.push(restore);
                native_snapshots.push(snapshot);
            }
            chains::judge_all(&mut chain, &batches)?;
            let started = Instant::now();
            chain.snapshot()?;
            snapshots.push(started.elapsed());
            let given = batches.iter().cycle().take(N_BATCHES);
            let times = given.map(|batch| Ok(chains::judge(&mut chain, batch)?.0.as_secs_f64()));
            let times = times.collect::<Result<Vec<_>>>()?;
            let half = median(times.iter().copied());
            all.push(times.iter().sum::<f64>() / N_BATCHES as f64);
            middle.push(half);
            slowest.push(quantile(times.iter().copied(), 1.0) * 1e3);
            n_slow.push(times.iter().filter(|time| **time > 2.0 * half).count() as f64);
        }
        let ns = |seconds: f64| rounded(seconds * 1e9 / BATCH_ROWS as f64, 1);
        let ratios = all.iter().zip(&middle).map(|(all, middle)| all / middle);
        table.push([
            json!(subject.name),
            json!(subject.state.map_or(0, |state| state.bytes.len() / 1024)),
            rounded(milliseconds(&snapshots), 2),
            rounded(milliseconds(&native_snapshots), 2),
            rounded(milliseconds(&restores), 2),
            rounded(milliseconds(&native_restores), 2),
            ns(median(all.iter().copied())),
            ns(median(middle.iter().copied())),
            rounded(median(ratios), 2),
            rounded(median(slowest), 2),
            rounded(median(n_slow), 0),
        ]);
    }
    Ok(vec![table])
}

/// The same code without a sandbox, on the same state: restore and snapshot.
fn natively(state: &PluginState) -> Result<(Duration, Duration)> {
    let configured = DetectFailedLogins::configure(&Config::new("{}".to_owned()));
    let (mut detector, _) = configured.map_err(|refused| anyhow!("{}", refused.message))?;
    let started = Instant::now();
    let restored = detector.restore(state.state_version, &state.bytes);
    let restore = started.elapsed();
    restored.map_err(|refused| anyhow!("{refused:?}"))?;
    let started = Instant::now();
    ensure!(black_box(detector.snapshot()) == state.bytes, "the state is another one natively");
    Ok((restore, started.elapsed()))
}

fn detectors(engine: &Engine) -> Result<Vec<Subject>> {
    let component = chains::plugin("detect_failed_logins")?;
    let subjects = N_KEYS.iter().map(|n_keys| {
        let mut chain = chains::chain_of(engine, &component)?;
        for batch in failures(*n_keys)? {
            chains::judge_all(&mut chain, &[batch])?;
        }
        let state = chain.snapshot()?.into_iter().next().context("no state")?;
        let name = format!("detect_failed_logins, {n_keys} addresses");
        Ok(Subject { name, component: component.clone(), state: Some(state) })
    });
    subjects.collect()
}

/// A failed login of each of so many addresses.
fn failures(n_keys: usize) -> Result<Vec<Batch>> {
    let mut first = 0;
    let batches = events::batches(n_keys, BATCH_ROWS)?;
    let filled = batches.iter().map(|batch| {
        let n_rows = batch.columns.num_rows();
        let address = |key: usize| format!("10.{}.{}.{}", key >> 16, key >> 8 & 255, key & 255);
        let addresses = StringArray::from_iter_values((first..first + n_rows).map(address));
        first += n_rows;
        let columns: [(&str, ArrayRef); 3] = [
            ("ip_address", Arc::new(addresses)),
            ("action_type", all("user_login", n_rows)),
            ("action_result", all("failure", n_rows)),
        ];
        chains::with_columns(batch, &columns)
    });
    filled.collect()
}

/// The batches without a login that ended in any way, so that a state stays as it is.
fn quiet(batches: &[Batch]) -> Result<Vec<Batch>> {
    let quiet = |batch: &Batch| {
        let neither = all("pending", batch.columns.num_rows());
        chains::with_columns(batch, &[("action_result", neither)])
    };
    batches.iter().map(quiet).collect()
}

fn all(value: &str, n_rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, n_rows)))
}

/// The pauses, and the times of the batches between them.
fn swapped(
    engine: &Engine,
    subject: &Subject,
    batches: &[Batch],
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let mut chain = chains::chain_of(engine, &subject.component)?;
    chain.restore(subject.state.as_slice())?;
    let control = chain.control();
    let stop = AtomicBool::new(false);
    let judging = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for batch in batches.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            chain.take_changes();
            times.push(chains::judge(&mut chain, batch)?.0);
            if times.len() % BATCHES_OF_EPOCH == 0 {
                chain.snapshot()?;
            }
            thread::sleep(PACE);
        }
        Ok(times)
    };
    let one = || -> Result<Duration> {
        let source = chains::source(&subject.component, &json!({}));
        let mut plugin = Plugin::load(engine, source)?;
        control.catch_up(&mut plugin)?;
        let place = Place::New(Box::new(plugin));
        let done = control.arrange(vec![place], "a benchmark".to_owned());
        let done = done.context("the chain has ended")??;
        ensure!(done.n_retired() == 1, "nothing was swapped");
        Ok(done.pause)
    };
    thread::scope(|scope| {
        let judging = scope.spawn(judging);
        let pauses = (0..N_SWAPS).map(|_| one()).collect::<Result<Vec<_>>>();
        stop.store(true, Ordering::Relaxed);
        let judged = judging.join().map_err(|_| anyhow!("the judging thread panicked"))??;
        Ok((pauses?, judged))
    })
}
