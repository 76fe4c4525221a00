//! Two or three that live at once: one writes, the others wait until it is silent or dead.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Running, wait_until};
use serde_json::Value;

use super::metadata::{latest, pause_between_commits, snapshots};
use super::{
    AT_ONCE, FAILED, GROUP, check_claims, check_error, check_exactly_once, claims, flow, host,
    host_name, instance, is_waiting, n_rows, rest, send_events, stop, wait_for_rows,
    wait_for_table, wait_for_waiting,
};

/// The shortest lease that a slow machine does not pass between two commits of a steady flow.
const LEASE: Duration = Duration::from_secs(5);
/// What a takeover may take beyond the lease, on a busy machine.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(10);
/// What a restart after a crash may take longer than a first start.
const READS_ON_WITHIN: Duration = Duration::from_secs(2);

/// Waits for the claim of a number; an error if there are more.
fn wait_for_claims(case: &Case, count: usize, limit: Duration) -> Result<()> {
    wait_for_table(&format!("claim {count}"), limit, || Ok(claims(case)?.len() >= count))?;
    let claims = claims(case)?;
    ensure!(claims.len() == count, "claimed by {claims:?}");
    Ok(())
}

/// Waits until the table has so many rows more; nobody may end meanwhile.
fn wait_for_more_rows(case: &Case, running: &mut [Running], more: u64) -> Result<()> {
    let before = n_rows(case, TABLE)?;
    wait_for_table(&format!("{more} rows more"), LIMIT, || {
        for run in &mut *running {
            ensure!(!run.has_ended()?, "one of them ended:\n{}", run.log()?);
        }
        Ok(n_rows(case, TABLE)? >= before + more)
    })
}

/// Removes the one that does not wait, which is the one that writes.
fn take_writer(running: &mut Vec<Running>, holder: &str) -> Result<Running> {
    let n_others = running.len() - 1;
    let waiting = |running: &[Running]| -> Result<Vec<bool>> {
        running.iter().map(|run| is_waiting(run, holder)).collect()
    };
    wait_until(&format!("{n_others} that wait for {holder}"), LIMIT, || {
        Ok(waiting(running)?.into_iter().filter(|waits| *waits).count() >= n_others)
    })?;
    let writer = waiting(running)?.iter().position(|waits| !waits).context("all of them wait")?;
    Ok(running.remove(writer))
}

#[test]
fn of_three_started_at_once_one_writes_and_the_next_follows_when_it_dies() -> Result<()> {
    let case = Case::new("lanes-three", 2)?;
    let name = host_name()?;
    let producer = flow(&case)?;
    let program = host(&case, "")?;
    let mut running = vec![program.start()?, program.start()?, program.start()?];
    wait_for_table("one that writes and two that wait", LIMIT, || {
        let mut n_waiting = 0;
        for run in &mut running {
            // Who lost the race for the lane may have ended: its supervisor restarts it.
            if run.has_ended()? {
                let ended = std::mem::replace(run, program.start()?).wait(AT_ONCE)?;
                check_error("who lost the race", &ended, &[FAILED], &[GROUP, &name])?;
            }
            n_waiting += usize::from(is_waiting(run, &name)?);
        }
        Ok(n_waiting == 2 && n_rows(&case, TABLE)? > 0)
    })?;
    wait_for_more_rows(&case, &mut running, 300)?;
    check_claims(&case, &[&name])?;

    // Its process is known to be dead: nobody waits for the lease of a minute.
    take_writer(&mut running, &name)?.kill()?;
    wait_for_claims(&case, 2, TAKEOVER_WITHIN)?;
    wait_for_more_rows(&case, &mut running, 200)?;
    check_claims(&case, &[&name, &name])?;

    drop(producer);
    for run in running {
        run.terminate()?;
        run.wait(LIMIT)?;
    }
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn two_of_one_name_on_one_machine_take_no_turns() -> Result<()> {
    let case = Case::new("lanes-one-name", 2)?;
    let producer = flow(&case)?;
    let program = host(&case, "instance = \"ledger-0\"")?;
    let first = program.start()?;
    wait_for_rows(&case, 1)?;
    let mut second = program.start()?;
    wait_for_waiting(&mut second, "ledger-0")?;
    let mut both = [first, second];
    wait_for_more_rows(&case, &mut both, 200)?;
    check_claims(&case, &["ledger-0"])?;
    let [first, second] = both;

    first.kill()?;
    wait_for_claims(&case, 2, TAKEOVER_WITHIN)?;
    check_claims(&case, &["ledger-0", "ledger-0"])?;
    drop(producer);
    stop(second)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

/// When a snapshot was committed.
fn committed_at(snapshot: &Value) -> Result<i64> {
    snapshot["timestamp-ms"].as_i64().context("a snapshot without its time")
}

/// How long the table was silent before its last claim.
fn silence_before_last_claim(case: &Case) -> Result<Duration> {
    let metadata = latest(case, TABLE).context("no table")?;
    let all = snapshots(&metadata);
    let is_claim = |one: &&Value| one["summary"]["audit-host.claim"].is_string();
    let claim = all.iter().rposition(is_claim).context("nobody claimed the lane")?;
    let before = claim.checked_sub(1).context("a claim after no commit")?;
    let silent = committed_at(all[claim])? - committed_at(all[before])?;
    Ok(Duration::from_millis(u64::try_from(silent).context("time goes back")?))
}

/// One of [`super::WAITING`].
pub(super) fn one_that_is_restarted_again_and_again_waits_until_the_other_is_silent() -> Result<()>
{
    let case = Case::new("lanes-supervisor", 2)?;
    let producer = flow(&case)?;
    let lease = format!("{}s", LEASE.as_secs());
    let first = host(&case, &instance("first", &lease))?;
    let second = host(&case, &instance("second", &lease))?;
    let mut writer = [first.start()?];
    wait_for_rows(&case, 1)?;

    for _ in 0..2 {
        let mut restarted = second.start()?;
        wait_for_waiting(&mut restarted, "first")?;
        ensure!(restarted.kill()?.was_killed(), "it did not wait");
    }
    // Longer than the lease; and who waits can be asked to end.
    let mut restarted = second.start()?;
    wait_for_waiting(&mut restarted, "first")?;
    wait_for_more_rows(&case, &mut writer, 2 * LEASE.as_secs() * 100)?;
    restarted.terminate()?;
    restarted.wait(AT_ONCE)?;
    check_claims(&case, &["first"])?;

    let mut restarted = second.start()?;
    wait_for_waiting(&mut restarted, "first")?;
    let [paused] = writer;
    pause_between_commits(&case, &paused)?;
    wait_for_claims(&case, 2, LEASE + TAKEOVER_WITHIN)?;
    let silence = silence_before_last_claim(&case)?;
    ensure!(silence >= LEASE, "taken over after {silence:?}");
    paused.resume()?;
    let fenced = paused.wait(AT_ONCE)?;
    check_error("the one that was paused", &fenced, &[FAILED], &[GROUP, "second"])?;

    // Its supervisor restarts it: now it is the one that waits.
    let mut restarted_first = first.start()?;
    wait_for_waiting(&mut restarted_first, "second")?;
    restarted.kill()?;
    wait_for_claims(&case, 3, LEASE + TAKEOVER_WITHIN)?;
    check_claims(&case, &["first", "second", "first"])?;
    drop(producer);
    stop(restarted_first)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn killed_and_restarted_it_does_not_wait_for_its_own_lease() -> Result<()> {
    let case = Case::new("lanes-own-lease", 2)?;
    let program = host(&case, "")?;
    send_events(&case, 50)?;
    let first = program.start()?;
    wait_for_rows(&case, 50)?;
    let undisturbed = first.kill()?.elapsed;
    send_events(&case, 50)?;
    let second = program.start()?;
    wait_for_rows(&case, 100)?;
    let restarted = second.kill()?.elapsed;
    let limit = undisturbed + READS_ON_WITHIN;
    ensure!(restarted <= limit, "the first start took {undisturbed:?}, the second {restarted:?}");
    let name = host_name()?;
    check_claims(&case, &[&name, &name])?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

/// The process that holds the lane, as the table names it.
#[test]
fn the_table_names_the_process_that_holds_the_lane() -> Result<()> {
    let case = Case::new("lanes-holder", 1)?;
    send_events(&case, 5)?;
    let running = host(&case, "")?.start()?;
    wait_for_rows(&case, 5)?;
    let metadata = latest(&case, TABLE).context("no table")?;
    let holder: Value =
        serde_json::from_str(&text(&metadata["properties"][super::property("holder.all")]))?;
    let pid = running.pid().to_string();
    ensure!(text(&holder["pid"]) == pid, "{holder} does not name process {pid}");
    ensure!(text(&holder["host"]) == host_name()?, "{holder} names another host");
    stop(running)?;
    Ok(())
}
