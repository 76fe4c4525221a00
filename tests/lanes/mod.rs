//! Lanes: who may commit to a table. A paused instance, a second one, a clock that is ahead, a rollback, a
//! catalog of yesterday: nothing newer is overwritten, no record is lost or comes twice, and whoever may not
//! commit says why.

mod paused;
mod turns;

mod catalog_file;
mod clock;
mod groups;
mod properties;
mod rolled_back;

mod metadata;
mod waits;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use audit_tests::broker;
use audit_tests::case::{Case, TABLE};
use audit_tests::json::text;
use audit_tests::program::{Ended, LIMIT, Program, Running, wait_until};
use audit_tests::table::Reading;
use serde_json::{Value, json};

/// The group of every host here, so that an error that names it is told from the program's own name.
const GROUP: &str = "ledger";
/// Something failed at run time.
const FAILED: i32 = 1;
/// What a restart does not repair.
const USAGE: i32 = 2;
/// A run that is refused or fenced off ends within this, also on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(20);
/// How often a condition of the table is checked: each look reads its metadata.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A steady flow of events, for tests in which commits must go on.
const RATE: &str = "100";
const SEALING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// `audit-host` with [`GROUP`], short epochs, and these lines in the section `[run]`.
fn host(case: &Case, run: &str) -> Result<Program> {
    with_settings(case, case.host()?, run)
}

fn with_settings(case: &Case, host: Program, run: &str) -> Result<Program> {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let n = FILES.fetch_add(1, Ordering::Relaxed);
    let (key, config) = (case.dir.join("key"), case.dir.join(format!("audit-host-{n}.toml")));
    fs::write(&key, SEALING_KEY)?;
    let key = key.display().to_string();
    let sections = format!(
        "[kafka]\ngroup = \"{GROUP}\"\n[dead-letters]\nkey-file = {key:?}\n\
         [run]\ntrigger-interval = \"500ms\"\n{run}\n"
    );
    fs::write(&config, sections)?;
    Ok(host.args(&["--config", &config.display().to_string()]))
}

/// The settings of an instance of this name.
fn instance(name: &str, lease: &str) -> String {
    format!("instance = \"{name}\"\nlane-lease = \"{lease}\"")
}

/// The program that reads what is left.
fn rest(case: &Case) -> Result<Program> {
    Ok(host(case, "")?.args(&["--until-end"]))
}

/// An event that no detector looks at.
fn event(n: usize) -> Vec<u8> {
    let second = n % 60;
    let event = json!({
        "audit_id": format!("event-{n}"), "event_timestamp": format!("2025-06-02T08:00:{second:02}Z"),
        "user_id": "alice", "action_type": "data_read", "action_result": "success",
        "ip_address": "192.0.2.10",
    });
    event.to_string().into_bytes()
}

/// Sends so many events, to each partition in turn.
fn send_events(case: &Case, count: usize) -> Result<()> {
    let record = |n: usize| (n as i32 % case.n_partitions, Some(event(n)));
    broker::send(&case.topic, (0..count).map(record))
}

/// Sends events at [`RATE`] until it is dropped.
fn flow(case: &Case) -> Result<Running> {
    case.generate(100_000, 1)?.args(&["--rate", RATE]).start()
}

/// A topic of two partitions, and a table that holds its first 30 events, in three commits.
fn filled(name: &str) -> Result<Case> {
    let case = Case::new(name, 2)?;
    let running = host(&case, "")?.start()?;
    for commit in 1..=3 {
        send_events(&case, 10)?;
        wait_for_rows(&case, commit * 10)?;
    }
    stop(running)?;
    Ok(case)
}

/// Ends a run as a service manager does.
fn stop(running: Running) -> Result<Ended> {
    running.terminate()?;
    running.wait(LIMIT)?.success()
}

/// Rows of the newest snapshot; none before the table is there.
fn n_rows(case: &Case, table: &str) -> Result<u64> {
    let Some(metadata) = metadata::latest(case, table) else { return Ok(0) };
    let current = &metadata["current-snapshot-id"];
    let snapshots = metadata::snapshots(&metadata);
    let Some(newest) = snapshots.into_iter().find(|one| one["snapshot-id"] == *current) else {
        return Ok(0);
    };
    text(&newest["summary"]["total-records"]).parse().context("total-records is no number")
}

/// As [`wait_until`], looking less often.
fn wait_for_table(
    what: &str,
    limit: Duration,
    mut happened: impl FnMut() -> Result<bool>,
) -> Result<()> {
    wait_until(what, limit, || {
        let has_happened = happened()?;
        if !has_happened {
            thread::sleep(LOOK_EVERY);
        }
        Ok(has_happened)
    })
}

/// Waits until the table has so many rows.
fn wait_for_rows(case: &Case, count: u64) -> Result<()> {
    wait_for_table(&format!("{count} rows"), LIMIT, || Ok(n_rows(case, TABLE)? >= count))
}

/// Waits until a run says that it waits for the instance of this name.
fn wait_for_waiting(running: &mut Running, holder: &str) -> Result<()> {
    wait_until(&format!("a run that says that it waits for {holder}"), LIMIT, || {
        ensure!(!running.has_ended()?, "it ended instead of waiting:\n{}", running.log()?);
        is_waiting(running, holder)
    })
}

/// Whether a run says that it waits for the instance of this name.
fn is_waiting(running: &Running, holder: &str) -> Result<bool> {
    Ok(running.log()?.lines().any(|line| line.contains("wait") && line.contains(holder)))
}

/// The one error line of a run that ended with one of these codes. It has each of the words; of alternatives
/// (`a|b`), one.
fn check_error(what: &str, ended: &Ended, codes: &[i32], words: &[&str]) -> Result<()> {
    let said = &ended.stderr;
    let is_expected = ended.code().is_some_and(|code| codes.contains(&code));
    ensure!(is_expected, "{what}: it ended with {}: {said}", ended.status);
    ensure!(!said.contains("panicked"), "{what}: {said}");
    let errors = ended.error_lines();
    ensure!(errors.len() == 1, "{what}: it prints {} errors: {said}", errors.len());
    ensure!(errors[0].contains("(AH-"), "{what}: no code: {}", errors[0]);
    for word in words {
        let is_there = word.split('|').any(|one| errors[0].contains(one));
        ensure!(is_there, "{what}: it does not say {word:?}: {}", errors[0]);
    }
    Ok(())
}

/// Every offset of the topic is a row, once, as PyIceberg and DuckDB read it; nothing is pending.
fn check_exactly_once(case: &Case) -> Result<Reading> {
    check_origins(case, &case.offsets()?, TABLE)
}

fn check_origins(case: &Case, expected: &BTreeSet<(i64, i64)>, table: &str) -> Result<Reading> {
    let (reading, rows) = case.reader().origins(table)?;
    let distinct: BTreeSet<_> = rows.iter().copied().collect();
    ensure!(distinct.len() == rows.len(), "{table}: {} of {} rows", distinct.len(), rows.len());
    let lost: Vec<_> = expected.difference(&distinct).take(10).collect();
    ensure!(lost.is_empty(), "{table}: lost, among others: {lost:?}");
    let foreign: Vec<_> = distinct.difference(expected).take(10).collect();
    ensure!(foreign.is_empty(), "{table}: rows of no record: {foreign:?}");
    ensure!(reading.n_rows()? == rows.len() as u64, "{table}: the readers do not agree");
    ensure!(reading.pending()?.is_empty(), "{table}: {:?}", reading.pending()?);
    Ok(reading)
}

/// Who holds a lane, and the number of its last commit: `INSTANCE/RUN:SEQUENCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    instance: String,
    run: String,
    sequence: u64,
}

impl Lane {
    fn parse(value: &str) -> Result<Self> {
        let parse = || {
            let (holder, sequence) = value.rsplit_once(':')?;
            let (instance, run) = holder.rsplit_once('/')?;
            let (instance, run) = (instance.to_owned(), run.to_owned());
            Some(Self { instance, run, sequence: sequence.parse().ok()? })
        };
        parse().with_context(|| format!("{value:?} is no lane"))
    }
}

/// The name of one of the group's own properties.
fn property(name: &str) -> String {
    format!("audit-host.{GROUP}..{name}")
}

/// What each claim wrote into the lane, in the order of the table.
fn claims(case: &Case) -> Result<Vec<Lane>> {
    let Some(metadata) = metadata::latest(case, TABLE) else { return Ok(Vec::new()) };
    let snapshots = metadata::snapshots(&metadata);
    let claims = snapshots.iter().filter_map(|one| one["summary"]["audit-host.claim"].as_str());
    claims.map(Lane::parse).collect()
}

/// The lane was taken by these instances, one after the other, each by a run of its own; no two commits have
/// one number, and the last commit is one of the last of them.
fn check_claims(case: &Case, instances: &[&str]) -> Result<()> {
    let claims = claims(case)?;
    let names: Vec<_> = claims.iter().map(|claim| claim.instance.as_str()).collect();
    ensure!(names == instances, "claimed by {claims:?} instead of {instances:?}");
    let runs: BTreeSet<_> = claims.iter().map(|claim| &claim.run).collect();
    ensure!(runs.len() == claims.len(), "one run claims twice: {claims:?}");
    let metadata = metadata::current(case, TABLE)?;
    let numbers: Vec<_> =
        metadata::snapshots(&metadata).into_iter().filter_map(number_of).collect();
    ensure!(numbers.len() > claims.len(), "commits without a sequence: {numbers:?}");
    ensure!(numbers.is_sorted_by(|a, b| a < b), "sequences go back: {numbers:?}");
    let lane = Lane::parse(&text(&metadata["properties"][property("lane.all")]))?;
    let Some(last) = claims.last() else { bail!("nobody claimed the lane") };
    ensure!(lane.run == last.run, "{lane:?} is not of {last:?}");
    ensure!(Some(&lane.sequence) == numbers.last(), "{lane:?} after {numbers:?}");
    Ok(())
}

/// The lane's number that a snapshot wrote.
fn number_of(snapshot: &Value) -> Option<u64> {
    let summary = &snapshot["summary"];
    let claimed = summary["audit-host.claim"].as_str().and_then(|claim| Lane::parse(claim).ok());
    let number = || text(&summary["audit-host.sequence"]).parse().ok();
    claimed.map(|claim| claim.sequence).or_else(number)
}

/// The name of an instance that was not given one.
fn host_name() -> Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").context("reading the host name")?;
    Ok(name.trim().to_owned())
}
