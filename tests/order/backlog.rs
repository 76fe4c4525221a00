//! A backlog is read in the order of time: from any number of partitions, killed in the middle, after an outage.

use anyhow::{Result, ensure};
use audit_tests::broker::{create_topic, send_messages};
use audit_tests::case::Case;

use super::feed::office;
use super::{Watched, check_ids, check_rows, filled, host, spread};

/// Enough epochs to be killed between them.
const SMALL_EPOCHS: &str = "\n[limits]\nepoch-rows-max = 600\n";

#[test]
fn the_same_events_in_any_number_of_partitions_raise_the_same_alerts() -> Result<()> {
    for n_partitions in [4, 8, 32] {
        let case = filled(&format!("order-{n_partitions}"), n_partitions, n_partitions)?;
        host(&case, "")?.args(&["--until-end"]).succeed()?;
        check_rows(&case)?;
        check_ids(&case)?;
    }
    Ok(())
}

#[test]
fn killed_twice_in_the_middle_of_a_backlog_it_raises_the_same_alerts() -> Result<()> {
    let case = filled("order-killed", 8, 8)?;
    let program = host(&case, SMALL_EPOCHS)?;
    let mut n_rows = 0;
    for share in [5, 3] {
        let mut watched = Watched::start(program.clone())?;
        watched.wait_for_rows(office().events.len() as u64 / share)?;
        n_rows += watched.n_rows()?;
        ensure!(watched.running.kill()?.was_killed(), "it ended by itself");
    }
    ensure!(n_rows < office().events.len() as u64, "killed after the end, which proves nothing");
    program.args(&["--until-end"]).succeed()?;
    check_rows(&case)?;
    check_ids(&case)
}

#[test]
fn after_an_outage_the_alerts_are_those_of_a_host_that_never_stopped() -> Result<()> {
    const N_PARTITIONS: i32 = 8;
    create_topic("order-outage", N_PARTITIONS)?;
    let dir = audit_tests::env::folder("order-outage")?;
    let case = Case { topic: "order-outage".into(), n_partitions: N_PARTITIONS, dir };
    let n = office().events.len();
    let program = host(&case, "")?;

    send_messages(&case.topic, spread(0, n / 3, N_PARTITIONS))?;
    let mut watched = Watched::start(program.clone())?;
    watched.wait_for_rows(n as u64 / 3)?;
    ensure!(watched.running.kill()?.was_killed(), "it ended by itself");

    // While it is down, half of the partitions get their events first; later the other half do.
    let phases = [(n / 3, n * 2 / 3, 0), (n * 2 / 3, n, 1)];
    for (from, until, first) in phases {
        for half in [first, 1 - first] {
            let of_half = spread(from, until, N_PARTITIONS).filter(|(at, _)| at % 2 == half);
            send_messages(&case.topic, of_half)?;
        }
    }
    let mut watched = Watched::start(program)?;
    watched.wait_for_rows((n - n / 3) as u64)?;
    watched.stop()?;
    check_rows(&case)?;
    check_ids(&case)
}
