//! Crash: killed at any point, or run twice at once, every record ends exactly once as a row or as a
//! dead letter.

mod straddle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Program, Running, wait_until};
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

/// When a run is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum KillPoint {
    /// Some time after it wrote its first files, whatever it does then.
    AnyTime,
    /// When this run has put so many new files into this folder below the warehouse: between two steps
    /// of a commit, and the first or a later one.
    NewFiles(usize, &'static str),
}

/// The epoch is committed by then, and its outbox is pending until the next commit.
const PENDING: KillPoint = KillPoint::NewFiles(1, "demo/audit_trail_dead_letters/metadata");

/// The steps of a commit in their order, and any time in between. They are repeated until there are no
/// more events.
const KILL_POINTS: &[KillPoint] = &[
    KillPoint::AnyTime,
    KillPoint::NewFiles(1, ".audit-host/outbox"),
    // A commit writes three files there.
    KillPoint::NewFiles(5, "demo/audit_trail/metadata"),
    PENDING,
    KillPoint::NewFiles(2, ".audit-host/state"),
    KillPoint::NewFiles(1, "demo/audit_trail/data"),
    KillPoint::AnyTime,
    KillPoint::NewFiles(3, "demo/audit_trail/metadata"),
    KillPoint::NewFiles(3, "demo/audit_trail_dead_letters/metadata"),
];

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
    let (mut n_rounds, mut n_reached) = (0, 0);
    for point in KILL_POINTS.iter().cycle() {
        if producer.has_ended()? {
            break;
        }
        // Every round has something that makes an outbox.
        send_bad_records(&case)?;
        n_rounds += 1;
        let before = warehouse_files(&case)?;
        let mut running = stream(&case)?.start()?;
        let mut ended_too_soon = || running.has_ended();
        let is_reached =
            wait_for(*point, &case, &before, &mut producer, &mut ended_too_soon, &mut random)?;
        let ended = running.kill()?;
        ensure!(ended.was_killed(), "it ended before {point:?}: {}", ended.stderr);
        n_reached += usize::from(is_reached);
        if is_reached && *point == PENDING {
            // Without this the check that nothing is pending at the end would prove nothing.
            let pending = case.reader().read(TABLE)?.pending()?.len();
            ensure!(pending == 1, "{pending} epochs are pending between commit and delivery");
        }
    }
    producer.wait(LIMIT)?.success()?;
    ensure!(n_reached >= KILL_POINTS.len(), "killed at {n_reached} points only");
    host(&case)?.args(&["--until-end"]).succeed()?;

    let table = check_exactly_once(&case, n_rounds * BAD_RECORDS_A_ROUND, n_rounds)?;
    let n_commits = table.summaries().len();
    // Many runs are killed before their first commit.
    ensure!(n_commits * 2 > n_rounds, "{n_commits} commits in {n_rounds} runs prove nothing");
    check_alerts(&case, n_rounds)
}

/// Waits for the point, or for the end of the events; whether the point was reached.
fn wait_for(
    point: KillPoint,
    case: &Case,
    before: &BTreeSet<PathBuf>,
    producer: &mut Running,
    has_ended: &mut dyn FnMut() -> Result<bool>,
    random: &mut ChaCha8Rng,
) -> Result<bool> {
    let (n_files, folder) = match point {
        KillPoint::AnyTime => (1, "demo/audit_trail/data"),
        KillPoint::NewFiles(n_files, folder) => (n_files, folder),
    };
    let folder = case.dir.join("warehouse").join(folder);
    // Some exist for a short time only.
    let mut seen = BTreeSet::new();
    wait_until(&format!("{n_files} new files in {}", folder.display()), LIMIT, || {
        ensure!(!has_ended()?, "the program ended before it was killed");
        let now = warehouse_files(case)?;
        let new = now.difference(before).filter(|path| path.starts_with(&folder));
        seen.extend(new.cloned());
        Ok(seen.len() >= n_files || producer.has_ended()?)
    })?;
    if let KillPoint::AnyTime = point {
        // Not a wait for anything: the time is the test's input.
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
    }
    Ok(seen.len() >= n_files)
}

fn warehouse_files(case: &Case) -> Result<BTreeSet<PathBuf>> {
    files::below(&case.dir.join("warehouse"))
}

/// Every offset of the topic is a row or a dead letter, and only once; nothing is left to do. `n_aborted`
/// runs were killed or fenced off.
fn check_exactly_once(case: &Case, n_bad: usize, n_aborted: usize) -> Result<Reading> {
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
    check_nothing_pending(case, &[&table, &letters_table], n_aborted)?;
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

fn check_nothing_pending(case: &Case, tables: &[&Reading], n_aborted: usize) -> Result<()> {
    for table in tables {
        assert_eq!(table.pending()?, [""; 0]);
    }
    let outboxes = case.dir.join("warehouse/.audit-host/outbox");
    let kept = fs::read_dir(&outboxes).with_context(|| outboxes.display().to_string())?.count();
    // A run stages one outbox at a time, and deletes the one before right after the commit. So a run that is
    // aborted leaves one at most that no table refers to: staged and never committed, or finished.
    ensure!(kept <= n_aborted, "{kept} outboxes are left of {n_aborted} aborted runs");
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

#[test]
fn of_two_instances_of_one_group_one_is_fenced_off_and_no_record_comes_twice() -> Result<()> {
    let case = Case::new("two-instances", 4)?;
    let producer = case.generate(20_000, 6)?.args(&["--rate", "5000"]).start()?;
    let mut instances = vec![stream(&case)?.start()?, stream(&case)?.start()?];
    send_bad_records(&case)?;
    let mut loser = None;
    wait_until("one of two instances ends", LIMIT, || {
        for at in 0..instances.len() {
            if instances[at].has_ended()? {
                loser = Some(instances.remove(at));
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let loser = loser.context("no instance ended")?.wait(LIMIT)?;
    ensure!(loser.code() == Some(1), "it ended with {}: {}", loser.status, loser.stderr);
    let errors = loser.error_lines();
    ensure!(errors.len() == 1, "{}", loser.stderr);
    for word in ["another instance", "audit-host", &case.topic] {
        ensure!(errors[0].contains(word), "{word:?} is not in {}", errors[0]);
    }
    producer.wait(LIMIT)?.success()?;
    for winner in instances {
        winner.terminate()?;
        winner.wait(LIMIT)?.success()?;
    }
    host(&case)?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case, BAD_RECORDS_A_ROUND, 1)?;
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
    check_exactly_once(&case, BAD_RECORDS_A_ROUND, 0)?;
    Ok(())
}
