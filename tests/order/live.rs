//! Live: what is produced now is not held, however idle the other partitions are; and what is found is the same.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use audit_tests::broker::{Sender, create_topic};
use audit_tests::case::Case;
use audit_tests::env;

use super::feed::{office, quiet};
use super::{CHUNK, Expected, USUAL_WAIT, Watched, check_rows, host, ids, spread};

const N_ROUNDS: usize = 9;
/// What one of eight partitions may take longer than a single one, in the median: less than any wait for the others.
const MORE: Duration = Duration::from_secs(2);
/// Of all alerts these many hundredths are found live: a record may be judged before one of another partition that was
/// produced in the same moment.
const FOUND_LIVE_PERCENT: usize = 95;

fn new_case(name: &str, n_partitions: i32) -> Result<Case> {
    create_topic(name, n_partitions)?;
    Ok(Case { topic: name.to_owned(), n_partitions, dir: env::folder(name)? })
}

/// The median time from producing a record into partition 0 to its row.
fn latency(name: &str, n_partitions: i32) -> Result<Duration> {
    let case = new_case(name, n_partitions)?;
    let host = host(&case, "")?.args(&["--trigger-interval", "1s"]);
    let mut watched = Watched::start(host)?;
    let sender = Sender::connect(&case.topic)?;
    let mut times = Vec::new();
    for round in 1..=N_ROUNDS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        let event = quiet("live", round, i64::try_from(now.as_millis())?);
        let produced = Instant::now();
        sender.send([(0, event.message())])?;
        watched.wait_for_rows(round as u64)?;
        times.push(produced.elapsed());
    }
    watched.stop()?;
    check_rows(&case)?;
    // The first one also pays for the start.
    times.remove(0);
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

#[test]
fn what_is_produced_now_is_not_held_by_idle_partitions() -> Result<()> {
    let (alone, among) = (latency("order-live-1", 1)?, latency("order-live-8", 8)?);
    println!("produced to row: {alone:?} with one partition, {among:?} with seven idle ones");
    ensure!(among < alone + MORE, "{among:?} with seven idle partitions, {alone:?} without");
    Ok(())
}

#[test]
fn what_is_found_live_is_what_is_found_in_a_backlog() -> Result<()> {
    const N_PARTITIONS: i32 = 8;
    let case = new_case("order-live-office", N_PARTITIONS)?;
    let n = office().events.len();
    let mut watched = Watched::start(host(&case, "")?)?;
    let (sender, began) = (Sender::connect(&case.topic)?, Instant::now());
    // Chunk by chunk, each to another partition, as time goes on; the host is never far behind.
    for from in (0..n).step_by(CHUNK) {
        let until = (from + CHUNK).min(n);
        sender.send(spread(from, until, N_PARTITIONS))?;
        if (from / CHUNK).is_multiple_of(20) {
            watched.wait_for_rows(from as u64)?;
        }
    }
    watched.wait_for_rows_within(n as u64, USUAL_WAIT)?;
    println!("{n} events live in {:?}", began.elapsed());
    watched.stop()?;
    check_rows(&case)?;
    let (found, expected) = (ids(&case)?, &Expected::get()?.ids);
    let n_right = expected.intersection(&found).count();
    for (what, of) in [("recall", expected.len()), ("precision", found.len())] {
        ensure!(n_right * 100 >= of * FOUND_LIVE_PERCENT, "{what}: {n_right} of {of}");
    }
    Ok(())
}
