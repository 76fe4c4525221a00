//! Transactions: at an open one a partition ends at its last stable offset, and what is behind that holds the others
//! for the wait. What was aborted is not read.

use std::time::Duration;

use anyhow::{Result, ensure};
use audit_tests::broker::{Message, Transaction, create_topic, send_messages};
use audit_tests::case::Case;
use audit_tests::env;
use audit_tests::program::{LIMIT, wait_until};

use super::feed::{office, quiet};
use super::{SLACK, Watched, check_ids, check_rows, host, spread};

const N_PARTITIONS: i32 = 4;
/// Its second half is in a transaction.
const OPEN: i32 = 3;

/// The office without the second half of one partition, and that half.
fn half(name: &str) -> Result<(Case, Vec<(i32, Message)>)> {
    create_topic(name, N_PARTITIONS)?;
    let case = Case { topic: name.to_owned(), n_partitions: N_PARTITIONS, dir: env::folder(name)? };
    let middle = office().time_at(50);
    let all = spread(0, office().events.len(), N_PARTITIONS);
    let (held, free): (Vec<_>, Vec<_>) = all
        .partition(|(at, message)| *at == OPEN && message.time.is_some_and(|time| time > middle));
    send_messages(&case.topic, free)?;
    Ok((case, held))
}

#[test]
fn an_open_transaction_holds_the_others_until_it_is_committed() -> Result<()> {
    let (case, held) = half("order-open")?;
    let (n, n_held) = (office().events.len() as u64, held.len() as u64);
    let transaction = Transaction::begin(&case.topic, "order-open")?;
    transaction.send(held)?;
    let mut watched = Watched::start(host(&case, "")?.args(&["--alignment-wait", "60s"]))?;
    watched.wait_for_rows(n * 2 / 5)?;
    // It may have read on by what it holds in memory, but not to the end of the others.
    let has_passed = wait_until("what must not come", Duration::from_secs(4), || {
        Ok(watched.n_rows()? >= n - n_held)
    });
    ensure!(has_passed.is_err(), "it did not wait: {} rows", watched.n_rows()?);
    transaction.commit()?;
    watched.wait_for_rows_within(n, SLACK)?;
    watched.stop()?;
    check_rows(&case)?;
    check_ids(&case)
}

#[test]
fn a_transaction_that_stays_open_holds_the_others_for_the_wait_only() -> Result<()> {
    let (case, held) = half("order-stays-open")?;
    let (n, n_held) = (office().events.len() as u64, held.len() as u64);
    let transaction = Transaction::begin(&case.topic, "order-stays-open")?;
    transaction.send(held)?;
    let mut watched = Watched::start(host(&case, "")?.args(&["--alignment-wait", "2s"]))?;
    watched.wait_for_rows(n - n_held)?;
    watched.check_no_stall_beyond(Duration::from_secs(2))?;
    wait_until("a line about the partition", LIMIT, || {
        Ok(watched.running.log()?.contains("partition is unaligned"))
    })?;
    transaction.commit()?;
    watched.wait_for_rows_within(n, SLACK)?;

    // Aborted: nothing of it, but what comes after it.
    let last = office().time_at(100);
    let aborted = Transaction::begin(&case.topic, "order-stays-open")?;
    aborted
        .send((0..500).map(|at| (OPEN, quiet("aborted", at, last + 1 + at as i64).message())))?;
    aborted.abort()?;
    send_messages(&case.topic, [(OPEN, quiet("after", 0, last + 1_000).message())])?;
    watched.wait_for_rows_within(n + 1, SLACK)?;
    watched.stop()?;
    check_rows(&case)
}

#[test]
fn aborted_transactions_in_a_backlog_change_no_alert() -> Result<()> {
    let (case, held) = half("order-aborted")?;
    let mut held = held.into_iter().peekable();
    let mut n_chunks = 0;
    while held.peek().is_some() {
        let aborted = Transaction::begin(&case.topic, "order-aborted")?;
        let time = office().time_at(50) + n_chunks;
        aborted.send((0..50).map(|at| (OPEN, quiet("aborted", at, time).message())))?;
        aborted.abort()?;
        let committed = Transaction::begin(&case.topic, "order-aborted")?;
        committed.send(held.by_ref().take(700))?;
        committed.commit()?;
        n_chunks += 1;
    }
    // The end of one partition: nothing but what was aborted.
    let aborted = Transaction::begin(&case.topic, "order-aborted")?;
    aborted.send((0..50).map(|at| (0, quiet("aborted", at, office().time_at(100)).message())))?;
    aborted.abort()?;
    host(&case, "")?.args(&["--until-end"]).succeed()?;
    check_rows(&case)?;
    check_ids(&case)
}
