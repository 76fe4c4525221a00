//! Partitions that have nothing: never, not any more, or for a while. They delay the others by the wait at most.

use std::time::Duration;

use anyhow::Result;
use audit_tests::broker::send_messages;

use super::feed::{office, quiet, quiets};
use super::{SLACK, USUAL_WAIT, Watched, check_ids, check_rows, filled, host};

/// Of these the office has all but three.
const N_PARTITIONS: i32 = 11;
const N_FILLED: i32 = 8;
const NEVER: i32 = 8;
const ENDS_EARLY: i32 = 9;
const LATE: i32 = 10;
const N_EARLY: usize = 300;

#[test]
fn idle_partitions_delay_a_backlog_by_the_wait_at_most_and_lose_nothing() -> Result<()> {
    let case = filled("order-idle", N_PARTITIONS, N_FILLED)?;
    let early = quiets("early", N_EARLY).into_iter();
    let early = early.filter(|event| event.time < office().time_at(30));
    let early: Vec<_> = early.map(|event| (ENDS_EARLY, event.message())).collect();
    let mut n_rows = (office().events.len() + early.len()) as u64;
    send_messages(&case.topic, early)?;

    let mut watched = Watched::start(host(&case, "")?.args(&["--alignment-wait", "2s"]))?;
    watched.wait_for_rows(n_rows)?;
    watched.check_no_stall_beyond(Duration::from_secs(2))?;
    check_ids(&case)?;

    // One record, much later than its partition's neighbors, in two of the three.
    for partition in [LATE, ENDS_EARLY, LATE] {
        let time = office().time_at(100) + n_rows as i64;
        send_messages(&case.topic, [(partition, quiet("late", n_rows as usize, time).message())])?;
        n_rows += 1;
        watched.wait_for_rows_within(n_rows, SLACK)?;
    }
    // And one that is older than what has been judged: it is read all the same.
    let old = quiet("old", 0, office().time_at(50)).message();
    send_messages(&case.topic, [(NEVER - 1, old)])?;
    watched.wait_for_rows_within(n_rows + 1, SLACK)?;
    watched.stop()?;
    check_rows(&case)?;
    check_ids(&case)
}

#[test]
fn a_run_to_the_end_is_not_held_by_empty_partitions() -> Result<()> {
    let case = filled("order-idle-end", N_PARTITIONS, N_FILLED)?;
    let ended = host(&case, "")?.args(&["--until-end"]).succeed()?;
    anyhow::ensure!(ended.elapsed < USUAL_WAIT + SLACK, "it took {:?}", ended.elapsed);
    check_rows(&case)?;
    check_ids(&case)
}
