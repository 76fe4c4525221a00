//! Crash: killed at any point, or run twice at once, every record ends exactly once as a row or as a
//! dead letter.

mod disk;
mod maintenance;
mod straddle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_core::fail_point;
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::program::{Ended, LIMIT, Program, wait_until};
use audit_tests::table::Reading;
use audit_tests::{broker, files};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A failing run prints the seed; the same seed kills after the same delays.
const SEED: u64 = 20_260_105;
const N_EVENTS: u64 = 60_000;
/// Events come for some 40 s, so that each round has something to commit.
const RATE: &str = "1500";
const BAD_RECORDS_A_ROUND: usize = 40;
const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Where a run is killed: right after it did this (`fail_point.rs`) for the nth time. In the order of an epoch, but what
/// needs several epochs comes first, while there are events.
const KILL_POINTS: &[(&str, u32)] = &[
    ("files-sealed", 3),
    ("metadata-written", 4),
    ("committed", 2),
    ("dead-letters-appended", 2),
    ("alerts-delivered", 3),
    ("finished", 2),
    ("claim-written", 1),
    ("files-sealed", 1),
    ("stage", 1),
    ("metadata-written", 1),
    ("metadata-written", 2),
    ("committed", 1),
    ("dead-letters-appended", 1),
    ("alerts-delivered", 1),
    ("acknowledged", 1),
    ("finished", 1),
];

/// The epoch is committed by then, and its outbox is pending until the next commit.
const PENDING: &[&str] =
    &["committed", "dead-letters-appended", "alerts-delivered", "acknowledged", "finished"];

/// The program with both plugins and a key, so that the detector's state outlives a crash.
fn host(case: &Case) -> Result<Program> {
    let (key, config) = (case.dir.join("key"), case.dir.join("audit-host.toml"));
    fs::write(&key, SEALING_KEY)?;
    fs::write(&config, format!("[dead-letters]\nkey-file = {:?}\n", key.display().to_string()))?;
    let host = case.host_with(&["detect_failed_logins", "redact_pii"])?;
    Ok(host.args(&["--config", &config.display().to_string()]))
}

fn stream(case: &Case) -> Result<Program> {
    Ok(host(case)?.args(&["--trigger-interval", "300ms"]))
}

fn send_bad_records(case: &Case) -> Result<()> {
    let record = |n: usize| ((n as i32) % case.n_partitions, Some(b"no event".to_vec()));
    broker::send(&case.topic, (0..BAD_RECORDS_A_ROUND).map(record))
}

#[test]
fn killed_again_and_again_it_ends_with_every_record_exactly_once() -> Result<()> {
    let case = Case::new("crash", 4)?;
    let mut producer = case.generate(N_EVENTS, 5)?.args(&["--rate", RATE]).start()?;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut n_rounds = 0;
    for (step, n) in KILL_POINTS {
        // Every round has something that makes an outbox.
        send_bad_records(&case)?;
        n_rounds += 1;
        let point = format!("{step}:{n}");
        let ended = stream(&case)?.env(fail_point::VARIABLE, &point).run()?;
        ensure!(ended.was_at_fail_point(), "it did not reach {point}: {}", ended.stderr);
        if *n == 1 && PENDING.contains(step) {
            // Without this the check that nothing is pending at the end would prove nothing.
            let pending = case.reader().read(TABLE)?.pending()?.len();
            ensure!(pending == 1, "{pending} epochs are pending after {point}");
        }
    }
    while !producer.has_ended()? {
        send_bad_records(&case)?;
        n_rounds += 1;
        kill_at_any_time(&case, &mut random)?;
    }
    producer.wait(LIMIT)?.success()?;
    host(&case)?.args(&["--until-end"]).succeed()?;

    let table = check_exactly_once(&case, n_rounds * BAD_RECORDS_A_ROUND)?;
    let n_commits = table.summaries().len();
    // Many runs are killed before their first commit.
    ensure!(n_commits * 2 > n_rounds, "{n_commits} commits in {n_rounds} runs prove nothing");
    check_alerts(&case, n_rounds)
}

/// Kills a run some time after it wrote its first files, whatever it does then.
fn kill_at_any_time(case: &Case, random: &mut ChaCha8Rng) -> Result<()> {
    let before = warehouse_files(case)?;
    let mut running = stream(case)?.start()?;
    wait_until("new files in the warehouse", LIMIT, || {
        ensure!(!running.has_ended()?, "it ended by itself: {}", running.log()?);
        Ok(warehouse_files(case)? != before)
    })?;
    // Not a wait for anything: the time is the test's input.
    std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
    let ended = running.kill()?;
    ensure!(ended.was_killed(), "it ended before it was killed: {}", ended.stderr);
    Ok(())
}

fn warehouse_files(case: &Case) -> Result<BTreeSet<PathBuf>> {
    files::below(&case.dir.join("warehouse"))
}

/// Every offset of the topic is a row or a dead letter, and only once; nothing is left to do.
fn check_exactly_once(case: &Case, n_bad: usize) -> Result<Reading> {
    let (table, rows) = case.reader().origins(TABLE)?;
    let (letters_table, letters) = case.reader().origins(DEAD_LETTERS)?;
    check_no_duplicate("row", &rows)?;
    check_no_duplicate("dead letter", &letters)?;
    assert_eq!(letters.len(), n_bad, "dead letters");
    let all: BTreeSet<_> = rows.iter().chain(&letters).copied().collect();
    assert_eq!(all.len(), rows.len() + letters.len(), "a record is row and dead letter");
    let expected = case.offsets()?;
    let lost: Vec<_> = expected.difference(&all).take(10).collect();
    ensure!(lost.is_empty(), "seed {SEED}: lost, among others: {lost:?}");
    let foreign: Vec<_> = all.difference(&expected).take(10).collect();
    ensure!(foreign.is_empty(), "rows of no record: {foreign:?}");
    assert_eq!(table.n_rows()?, rows.len() as u64);
    for table in [&table, &letters_table] {
        assert_eq!(table.pending()?, [""; 0]);
    }
    Ok(table)
}

fn check_no_duplicate(what: &str, origins: &[(i64, i64)]) -> Result<()> {
    let mut counts = BTreeMap::new();
    for origin in origins {
        *counts.entry(origin).or_insert(0) += 1;
    }
    let twice: Vec<_> = counts.into_iter().filter(|(_, n)| *n > 1).take(10).collect();
    ensure!(twice.is_empty(), "seed {SEED}: {what} more than once, among others: {twice:?}");
    Ok(())
}

/// Every label has its alert. An alert may be delivered again after a crash, unchanged.
fn check_alerts(case: &Case, n_crashes: usize) -> Result<()> {
    case.check_alerts()?;
    let mut by_id: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut findings = BTreeSet::new();
    for alert in case.alerts()? {
        // Partitions are read in parallel, so that a burst may be seen in two parts, each a window.
        let window = text(&alert["window_start"]);
        findings.insert((text(&alert["rule"]), text(&alert["key"]["ip_address"]), window));
        by_id.entry(text(&alert["id"])).or_default().push(alert.to_string());
    }
    assert_eq!(by_id.len(), findings.len(), "one finding has two ids");
    for (id, deliveries) in by_id {
        ensure!(deliveries.len() <= 1 + n_crashes, "{id} came {} times", deliveries.len());
        ensure!(deliveries.iter().all(|one| *one == deliveries[0]), "{id} is not always the same");
    }
    Ok(())
}

/// Said by a start that finds the lane of its group taken.
const WAITS: &str = "waiting until it has been silent";

#[test]
fn of_two_instances_of_one_group_only_one_writes_and_no_record_comes_twice() -> Result<()> {
    let case = Case::new("two-instances", 4)?;
    let producer = case.generate(20_000, 6)?.args(&["--rate", "5000"]).start()?;
    let mut instances = vec![stream(&case)?.start()?, stream(&case)?.start()?];
    send_bad_records(&case)?;
    let mut second = None;
    wait_until("one of two instances ends or waits", LIMIT, || {
        for at in 0..instances.len() {
            if instances[at].has_ended()? || instances[at].log()?.contains(WAITS) {
                second = Some(instances.remove(at));
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    producer.wait(LIMIT)?.success()?;
    for first in instances {
        first.terminate()?;
        first.wait(LIMIT)?.success()?;
    }
    let mut second = second.context("both write")?;
    if second.has_ended()? {
        // It looked before the other one claimed the lane, and claimed it after that.
        check_fenced(&second.wait(LIMIT)?)?;
    } else {
        // The first one has released the lane.
        second.terminate()?;
        second.wait(LIMIT)?.success()?;
    }
    host(&case)?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case, BAD_RECORDS_A_ROUND)?;
    Ok(())
}

fn check_fenced(ended: &Ended) -> Result<()> {
    ensure!(ended.code() == Some(1), "it ended with {}: {}", ended.status, ended.stderr);
    let errors = ended.error_lines();
    ensure!(errors.len() == 1, "{}", ended.stderr);
    for word in ["another instance", "audit-host", TABLE] {
        ensure!(errors[0].contains(word), "{word:?} is not in {}", errors[0]);
    }
    Ok(())
}

#[test]
fn asked_to_stop_it_commits_what_it_has_read() -> Result<()> {
    let case = Case::new("terminate", 2)?;
    case.generate(3_000, 7)?.succeed()?;
    send_bad_records(&case)?;
    let n_records = 3_000 + BAD_RECORDS_A_ROUND;
    // The epoch would stay open for an hour.
    let running = host(&case)?.args(&["--trigger-interval", "1h"]).start()?;
    let progress = format!("{n_records} events in");
    wait_until("everything is read", LIMIT, || Ok(running.log()?.contains(&progress)))?;
    running.terminate()?;
    let ended = running.wait(LIMIT)?.success()?;
    ensure!(ended.stderr.contains("finishing the open epoch"), "{}", ended.stderr);
    check_exactly_once(&case, BAD_RECORDS_A_ROUND)?;
    Ok(())
}
