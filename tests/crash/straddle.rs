//! An attack that begins before a kill and ends after it is found as if nothing had happened.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::json::text;
use audit_tests::program::{LIMIT, Running, wait_until};

use super::{host, stream};

/// Attacks lie close together in these events: whenever it is killed, one is under way.
const N_EVENTS: u64 = 50_000;
const RATE: &str = "2000";
const KILLS: usize = 5;

/// Rule and id of every alert, repeated deliveries included.
fn alerts(case: &Case) -> Result<Vec<(String, String)>> {
    Ok(case.alerts()?.iter().map(|alert| (text(&alert["rule"]), text(&alert["id"]))).collect())
}

/// Without those of a burst that grew after its alert: whether it grew within one batch depends on the
/// size of the batches, which a live run and a replay do not share.
fn first_of_bursts(alerts: &[(String, String)]) -> BTreeSet<&String> {
    let first = alerts.iter().filter(|(rule, _)| !rule.ends_with("-escalated"));
    first.map(|(_, id)| id).collect()
}

/// Alerts that the table's commits put into outboxes, repeated deliveries not counted.
fn alerts_committed(case: &Case) -> Result<u64> {
    let table = case.reader().read(TABLE)?;
    let of_epoch = |summary: &serde_json::Value| {
        text(&summary["audit-host.alerts"]).parse::<u64>().unwrap_or_default()
    };
    Ok(table.summaries().iter().map(of_epoch).sum())
}

#[test]
fn an_attack_across_a_kill_gives_the_alerts_of_an_unbroken_run() -> Result<()> {
    // One partition: its order is the same in every run, so that the alerts must be.
    let killed = Case::new("straddle", 1)?;
    let mut producer = killed.generate(N_EVENTS, 31)?.args(&["--rate", RATE]).start()?;
    for kill in 0..KILLS {
        let running = stream(&killed)?.start()?;
        wait_for_commits(&running, &killed, kill)?;
        // Not a wait for anything: somewhere within the next epochs.
        std::thread::sleep(Duration::from_millis(137 * (kill as u64 + 1)));
        ensure!(running.kill()?.was_killed());
    }
    ensure!(!producer.has_ended()?, "all events were there before the last kill");
    producer.wait(LIMIT)?.success()?;
    host(&killed)?.args(&["--until-end"]).succeed()?;

    let unbroken = killed.beside("straddle-unbroken")?;
    host(&unbroken)?.args(&["--until-end"]).succeed()?;

    let (found, expected) = (alerts(&killed)?, alerts(&unbroken)?);
    let (found_ids, expected_ids) = (first_of_bursts(&found), first_of_bursts(&expected));
    ensure!(expected_ids.len() > 5, "{} alerts prove nothing", expected_ids.len());
    let unbroken_ids: BTreeSet<_> = expected.iter().collect();
    ensure!(expected.len() == unbroken_ids.len(), "an unbroken run delivers an alert twice");
    let missing: Vec<_> = expected_ids.difference(&found_ids).collect();
    let wrong: Vec<_> = found_ids.difference(&expected_ids).collect();
    ensure!(missing.is_empty() && wrong.is_empty(), "missing {missing:?}, wrong {wrong:?}");
    let n_committed = alerts_committed(&killed)?;
    let all: BTreeSet<_> = found.iter().collect();
    ensure!(n_committed == all.len() as u64, "{n_committed} alerts in all outboxes");
    Ok(())
}

/// Waits until this run has committed something of its own.
fn wait_for_commits(running: &Running, case: &Case, kill: usize) -> Result<()> {
    let before = super::warehouse_files(case)?.len();
    let what = format!("a commit before kill {kill}");
    wait_until(&what, LIMIT, || {
        ensure!(running.log()?.find("audit-host: ").is_none(), "{}", running.log()?);
        Ok(super::warehouse_files(case)?.len() > before + 3)
    })
}
