//! Crash: killed at any moment, or run twice at once, every record ends exactly once as a row or as a
//! dead letter.

mod straddle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::broker;
use audit_tests::case::{Case, DEAD_LETTERS, TABLE, text};
use audit_tests::program::{LIMIT, Program, Running, wait_until};
use audit_tests::table::Reading;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A failing run says the seed; the same seed kills after the same delays.
const SEED: u64 = 20_260_105;
const N_EVENTS: u64 = 60_000;
/// Events come for some 40 s, so that each round has something to commit.
const RATE: &str = "1500";
const ROUNDS_MIN: usize = 5;
const BAD_RECORDS_A_ROUND: usize = 40;
/// Garbage of killed runs: at most one outbox that was staged for a commit that never came, a run.
const OUTBOXES_MAX: usize = 100;
const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Some time after it wrote its first files, whatever it does then.
    AnyTime,
    /// When this run has put so many new files into this folder below the warehouse: between two steps
    /// of a commit, and the first or a later one.
    New(usize, &'static str),
}

/// The steps of a commit in their order, and any time in between. They come again until there are no
/// more events.
const MOMENTS: &[Moment] = &[
    Moment::AnyTime,
    Moment::New(1, ".audit-host/outbox"),
    // A commit writes three files there.
    Moment::New(5, "demo/audit_trail/metadata"),
    Moment::New(1, "demo/audit_trail_dead_letters/metadata"),
    Moment::New(2, ".audit-host/state"),
    Moment::New(1, "demo/audit_trail/data"),
    Moment::AnyTime,
    Moment::New(3, "demo/audit_trail/metadata"),
    Moment::New(3, "demo/audit_trail_dead_letters/metadata"),
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
    let mut n_rounds = 0;
    for moment in MOMENTS.iter().cycle() {
        if producer.has_ended()? {
            break;
        }
        // Something that makes an outbox is there in every round.
        send_bad_records(&case)?;
        n_rounds += 1;
        let before = files(&case);
        let mut running = stream(&case)?.start()?;
        let mut ended_too_soon = || running.has_ended();
        wait_for(*moment, &case, &before, &mut producer, &mut ended_too_soon, &mut random)?;
        let ended = running.kill()?;
        ensure!(ended.was_killed(), "it ended before {moment:?}: {}", ended.stderr);
    }
    producer.wait(LIMIT)?.success()?;
    ensure!(n_rounds >= ROUNDS_MIN, "killed {n_rounds} times only");
    host(&case)?.args(&["--until-end"]).succeed()?;

    let table = check_exactly_once(&case, n_rounds * BAD_RECORDS_A_ROUND)?;
    let n_commits = table.summaries().len();
    // A start takes little, so that many a run is killed before its first commit.
    ensure!(n_commits * 2 > n_rounds, "{n_commits} commits in {n_rounds} runs prove nothing");
    check_alerts(&case, n_rounds)
}

/// Waits for the moment, or for the end of the events.
fn wait_for(
    moment: Moment,
    case: &Case,
    before: &BTreeSet<PathBuf>,
    producer: &mut Running,
    has_ended: &mut dyn FnMut() -> Result<bool>,
    random: &mut ChaCha8Rng,
) -> Result<()> {
    let (n_files, folder) = match moment {
        Moment::AnyTime => (1, "demo/audit_trail/data"),
        Moment::New(n_files, folder) => (n_files, folder),
    };
    let folder = case.dir.join("warehouse").join(folder);
    // Some are there for a short time only.
    let mut seen = BTreeSet::new();
    wait_until(&format!("{n_files} new files in {}", folder.display()), LIMIT, || {
        ensure!(!has_ended()?, "the program ended before it was killed");
        let now = files(case);
        let new = now.difference(before).filter(|path| path.starts_with(&folder));
        seen.extend(new.cloned());
        Ok(seen.len() >= n_files || producer.has_ended()?)
    })?;
    if let Moment::AnyTime = moment {
        // Not a wait for anything: the time is the test's input.
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
    }
    Ok(())
}

/// Every file below the warehouse. Files come and go while this looks.
fn files(case: &Case) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![case.dir.join("warehouse")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    found
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
    check_nothing_pending(case, &[&table, &letters_table])?;
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

fn check_nothing_pending(case: &Case, tables: &[&Reading]) -> Result<()> {
    for table in tables {
        assert_eq!(table.properties_like("audit-host.pending."), [""; 0]);
    }
    let outboxes = case.dir.join("warehouse/.audit-host/outbox");
    let kept = fs::read_dir(&outboxes).with_context(|| outboxes.display().to_string())?.count();
    // One that was staged for a commit that never came is garbage, and nothing refers to it.
    ensure!(kept <= OUTBOXES_MAX, "{kept} outboxes are left in {}", outboxes.display());
    Ok(())
}

/// Every label has its alert. An alert may be delivered again after a crash, as the same alert.
fn check_alerts(case: &Case, n_crashes: usize) -> Result<()> {
    case.check_alerts()?;
    let mut by_id: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut findings = BTreeSet::new();
    for alert in case.alerts()? {
        // Partitions are read side by side, so that a burst may be seen in two parts, each a window.
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
    let complaints = loser.complaints();
    ensure!(complaints.len() == 1, "{}", loser.stderr);
    for word in ["another instance", "audit-host", &case.topic] {
        ensure!(complaints[0].contains(word), "{word:?} is not in {}", complaints[0]);
    }
    producer.wait(LIMIT)?.success()?;
    for winner in instances {
        winner.terminate()?;
        winner.wait(LIMIT)?.success()?;
    }
    host(&case)?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case, BAD_RECORDS_A_ROUND)?;
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
    wait_until("everything is read", LIMIT, || Ok(running.said()?.contains(&progress)))?;
    running.terminate()?;
    let ended = running.wait(LIMIT)?.success()?;
    ensure!(ended.stderr.contains("finishing the open epoch"), "{}", ended.stderr);
    check_exactly_once(&case, BAD_RECORDS_A_ROUND)?;
    Ok(())
}
