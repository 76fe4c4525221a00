//! A broker dies while a backlog is read: what the others lead goes on after the wait, and its own partitions are
//! read when it is back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use audit_tests::broker::{Message, create_topic_on, send_all};
use audit_tests::case::Case;
use audit_tests::env;
use audit_tests::kafka::Kafka;
use audit_tests::program::{LIMIT, wait_until};
use serde_json::Value;

use super::feed::office;
use super::{SLACK, Watched, check_rows_of, host_of, ids, partition_of, spread};

/// Which node leads each partition.
const LEADERS: [i32; 4] = [1, 2, 1, 2];
/// Text in each event, so that the host cannot hold what a partition has in its memory, and works on it for seconds.
const PADDING: usize = 8_000;
/// Epochs that end early: commits say how far the host is.
const SMALL_EPOCHS: &str = "\n[limits]\nepoch-rows-max = 300\n";

/// A message with [`PADDING`] in a column that no detector looks at.
fn padded((partition, message): (i32, Message)) -> Result<(i32, Message)> {
    let payload = message.payload.context("a record without an event")?;
    let mut event: Value = serde_json::from_slice(&payload)?;
    event["resource_name"] = "pad ".repeat(PADDING / 4).into();
    Ok((partition, Message { payload: Some(event.to_string().into_bytes()), ..message }))
}

#[test]
fn when_a_leader_dies_in_a_backlog_the_others_go_on_after_the_wait() -> Result<()> {
    let dir = env::folder("order-cluster")?;
    let props = [("log.retention.ms", "-1")];
    let first = Kafka::start(&env::kafka()?, &dir.join("first"), 0, &props)?;
    let mut second = first.join(&dir.join("second"), 2, &props)?;
    let brokers = first.bootstrap();
    let n_partitions = i32::try_from(LEADERS.len())?;
    create_topic_on(&brokers, "order-leader", &LEADERS)?;
    let dir = env::folder("order-leader")?;
    let case = Case { topic: "order-leader".into(), n_partitions, dir };
    let n = office().events.len();
    let messages: Vec<_> = spread(0, n, n_partitions).map(padded).collect::<Result<_>>()?;
    send_all(&brokers, &case.topic, messages)?;
    let of_first = |index: &usize| LEADERS[partition_of(*index, n_partitions) as usize] == 1;
    let n_first = (0..n).filter(of_first).count() as u64;

    let mut watched =
        Watched::start(host_of(&case, &brokers, SMALL_EPOCHS)?.args(&["--alignment-wait", "3s"]))?;
    watched.wait_for_rows(n as u64 / 20)?;
    second.kill()?;
    let at_death = watched.n_rows()?;
    ensure!(
        at_death < n as u64 * 3 / 4,
        "{at_death} rows: killed near the end, which proves nothing"
    );
    watched.wait_for_rows_within(n_first + at_death / 3, LIMIT)?;
    wait_until("a line about the partition", LIMIT, || {
        Ok(watched.running.log()?.contains("partition is unaligned"))
    })?;
    wait_until("unaligned partitions in the metrics", SLACK, || {
        Ok(watched.metric("audit_host_partitions_unaligned")? >= 1.0)
    })?;
    ensure!(watched.metric("audit_host_alignment_timeouts_total")? >= 1.0, "no timeout is counted");

    let at_return = watched.n_rows()?;
    second.restart()?;
    watched.wait_for_rows(n as u64)?;
    println!("of {n} rows {at_death} when the broker died, {at_return} before its return");
    wait_until("no unaligned partition in the metrics", SLACK + Duration::from_secs(10), || {
        Ok(watched.metric("audit_host_partitions_unaligned")? < 1.0)
    })?;
    wait_until("a line about its return", LIMIT, || {
        Ok(watched.running.log()?.contains("partition is aligned again"))
    })?;
    watched.stop()?;
    check_rows_of(&case, &brokers, &[(&case.topic, n_partitions)])?;
    ensure!(!ids(&case)?.is_empty(), "no alert at all");
    Ok(())
}
