//! Killed at each step of what keeps the tables small: nothing is lost, and nothing that a table names is removed.

use std::fs;
use std::io::Write as _;

use anyhow::{Result, ensure};
use audit_core::fail_point;
use audit_tests::case::Case;
use audit_tests::program::{LIMIT, Program, wait_until};

use super::{BAD_RECORDS_A_ROUND, check_exactly_once, host, send_bad_records};

/// More than come until the last step is reached: they only have to go on.
const N_EVENTS: u64 = 150_000;
const RATE: &str = "1000";

/// In the order in which a young table meets them: snapshots expire only when there are more than 100.
const STEPS: [&str; 7] = [
    "garbage-written",
    "garbage-removed",
    "merge-written",
    "merge-committed",
    "expire-planned",
    "history-written",
    "expire-committed",
];

/// So many commits a second that maintenance is due within seconds.
fn busy(case: &Case) -> Result<Program> {
    let program = host(case)?;
    let mut config = fs::OpenOptions::new().append(true).open(case.dir.join("audit-host.toml"))?;
    config.write_all(b"[table]\ngarbage-after = \"1s\"\n[limits]\nepoch-rows-max = 20\n")?;
    Ok(program.args(&["--trigger-interval", "100ms"]))
}

#[test]
fn killed_at_each_step_of_maintenance_it_ends_with_every_record_exactly_once() -> Result<()> {
    let case = Case::new("crash-maintenance", 2)?;
    let mut producer = case.generate(N_EVENTS, 11)?.args(&["--rate", RATE]).start()?;
    for step in STEPS {
        send_bad_records(&case)?;
        let mut running = busy(&case)?.env(fail_point::VARIABLE, &format!("{step}:1")).start()?;
        wait_until(step, LIMIT, || {
            ensure!(!producer.has_ended()?, "the events were too few to reach {step}");
            running.has_ended()
        })?;
        let ended = running.kill()?;
        ensure!(ended.was_at_fail_point(), "it did not reach {step}: {}", ended.stderr);
    }
    drop(producer);
    host(&case)?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case, STEPS.len() * BAD_RECORDS_A_ROUND)?;
    Ok(())
}
