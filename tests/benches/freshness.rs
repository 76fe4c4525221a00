//! From produce to visible, event by event: the program commits at its trigger while events arrive at a
//! steady rate, and the catalog is polled all the time.
//!
//! An event counts as produced when it is handed to the Kafka client, and as visible when the catalog
//! names a snapshot whose offsets are past it: from then on every reader of the table finds it.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "events.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod events;
#[path = "produce.rs"]
mod produce;
#[path = "table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;
#[path = "watch.rs"]
mod watch;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use audit_tests::case::Case;
use audit_tests::program::wait_until;
use produce::Produced;
use serde_json::json;
use table::{Args, Table, median, quantile, rounded};
use watch::{Sight, Watch};

/// Half a minute at the rate below.
const EVENTS: usize = 60_000;
const EVENTS_PER_SECOND: u32 = 2_000;
const TRIGGERS: [&str; 2] = ["1s", "5s"];
const N_PARTITIONS: i32 = 4;
/// What is sent in this time meets a program that has just started.
const START: Duration = Duration::from_secs(5);
/// How long the program may take to start, and after the last event to show it.
const LIMIT: Duration = Duration::from_mins(1);

/// One run's freshness, in seconds.
struct Run {
    p50: f64,
    p99: f64,
    max: f64,
    /// The same of the events after [`START`].
    p99_later: f64,
    max_later: f64,
    /// Snapshots in which events became visible.
    n_commits: usize,
    /// What the producer reached.
    events_per_second: f64,
}

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let (n_events, n_runs) = (args.rows.unwrap_or(EVENTS), args.runs.unwrap_or(1));
    let title = format!(
        "{n_events} events at {EVENTS_PER_SECOND}/s in {N_PARTITIONS} partitions of Apache Kafka on the same \
         machine, both plugins; medians of {n_runs} runs"
    );
    let columns = [
        "trigger",
        "p50, s",
        "p99, s",
        "max, s",
        "p99 after 5 s",
        "max after 5 s",
        "commits",
        "mean time between, s",
        "events/s",
    ];
    let mut table = Table::new(title, &columns);
    for trigger in TRIGGERS {
        let runs = (0..n_runs).map(|at| run(trigger, at, n_events)).collect::<Result<Vec<_>>>()?;
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
        let seconds = n_events as f64 / of(|run| run.events_per_second);
        let commits = of(|run| run.n_commits as f64);
        table.push([
            json!(trigger),
            rounded(of(|run| run.p50), 2),
            rounded(of(|run| run.p99), 2),
            rounded(of(|run| run.max), 2),
            rounded(of(|run| run.p99_later), 2),
            rounded(of(|run| run.max_later), 2),
            rounded(commits, 0),
            rounded(seconds / commits, 2),
            rounded(of(|run| run.events_per_second), 0),
        ]);
    }
    args.report(&[table])
}

fn run(trigger: &str, at: usize, n_events: usize) -> Result<Run> {
    let case = Case::new(&format!("freshness-{trigger}-{at}"), N_PARTITIONS)?;
    let host = case.host_with(&["detect_failed_logins", "redact_pii"])?;
    let running = host.args(&["--trigger-interval", trigger]).start()?;
    wait_until("the program runs", LIMIT, || Ok(running.log()?.contains("running")))?;
    let watch = Watch::start(case.dir.join("catalog.db"), &case.topic, N_PARTITIONS)?;
    let produced = produce::at_rate(&case.topic, n_events, EVENTS_PER_SECOND)?;
    let ends = produced.ends(N_PARTITIONS);
    wait_until("every event is visible", LIMIT, || watch.has_seen(&ends))?;
    let sights = watch.stop()?;
    // Everything is measured by now; how the program ends is for the tests.
    running.kill()?;
    fs::remove_dir_all(&case.dir)
        .with_context(|| format!("cannot remove {}", case.dir.display()))?;
    let waits = waits(&produced, &sights)?;
    let all = || waits.iter().map(|(_, wait)| *wait);
    let later = || waits.iter().filter(|(sent, _)| *sent > START).map(|(_, wait)| *wait);
    Ok(Run {
        p50: quantile(all(), 0.5),
        p99: quantile(all(), 0.99),
        max: quantile(all(), 1.0),
        p99_later: quantile(later(), 0.99),
        max_later: quantile(later(), 1.0),
        n_commits: sights.windows(2).filter(|pair| pair[0].next != pair[1].next).count(),
        events_per_second: produced.events_per_second(),
    })
}

/// For each event when it was sent, and the seconds until the first sight of a table that is past it.
fn waits(produced: &Produced, sights: &[Sight]) -> Result<Vec<(Duration, f64)>> {
    let first_sent = produced.events.iter().map(|event| event.at).min();
    let first_sent = first_sent.context("no event")?;
    let wait = |event: &produce::Event| {
        let first = sights.partition_point(|sight| sight.next[event.partition] <= event.offset);
        let sight = sights.get(first).context("an event was never visible")?;
        let wait = sight.at.saturating_duration_since(event.at).as_secs_f64();
        Ok((event.at - first_sent, wait))
    };
    produced.events.iter().map(wait).collect()
}
