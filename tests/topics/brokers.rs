//! What may happen to the brokers under the host: one of several dies, or comes back without its log.

use anyhow::{Result, ensure};
use audit_tests::broker::{Payload, create_topic_on, send_to};
use audit_tests::case::Case;
use audit_tests::env;
use audit_tests::kafka::Kafka;
use audit_tests::program::{LIMIT, Program, wait_for};

use super::{USAGE, distinct, wait_for_rows};

/// Two brokers: the first one is the controller as well, and outlives the second.
struct Cluster {
    first: Kafka,
    second: Kafka,
}

impl Cluster {
    fn start(name: &str) -> Result<Self> {
        let dir = env::folder(name)?;
        let first = Kafka::start(&env::kafka()?, &dir.join("first"), 0, &[])?;
        let second = first.join(&dir.join("second"), 2, &[])?;
        Ok(Self { first, second })
    }

    /// A topic with its partitions on these nodes.
    fn case(&self, name: &str, nodes: &[i32]) -> Result<Case> {
        create_topic_on(&self.first.bootstrap(), name, nodes)?;
        let n_partitions = i32::try_from(nodes.len())?;
        Ok(Case { topic: name.to_owned(), n_partitions, dir: env::folder(name)? })
    }

    fn host(&self, case: &Case) -> Program {
        case.host_of(&self.first.bootstrap()).args(&["--trigger-interval", "200ms"])
    }

    fn send(&self, case: &Case, partition: i32, n_records: usize) -> Result<()> {
        let event = br#"{"event_timestamp": "2025-06-02T08:00:00Z", "action_type": "LOGIN"}"#;
        let record = (partition, Payload::Some(event.to_vec()));
        send_to(&self.first.bootstrap(), &case.topic, vec![record; n_records])
    }
}

#[test]
fn a_partition_without_a_leader_is_waited_for_while_the_others_are_read() -> Result<()> {
    let mut cluster = Cluster::start("leaderless-cluster")?;
    let case = cluster.case("leaderless", &[1, 2])?;
    cluster.send(&case, 0, 50)?;
    cluster.send(&case, 1, 50)?;
    let running = cluster.host(&case).start()?;
    wait_for_rows(&case, 100)?;

    cluster.second.kill()?;
    wait_for(&running, "partition has no leader; waiting for one", 1)?;
    cluster.send(&case, 0, 50)?;
    wait_for_rows(&case, 150)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;

    // The same at the start.
    cluster.send(&case, 0, 50)?;
    let running = cluster.host(&case).args(&["--until-end"]).start()?;
    wait_for(&running, "partition has no leader that answers", 1)?;
    wait_for_rows(&case, 200)?;
    cluster.second.restart()?;
    wait_for(&running, "partition has a leader again", 1)?;
    running.wait(LIMIT)?.success()?;
    cluster.send(&case, 1, 50)?;
    cluster.host(&case).args(&["--until-end"]).succeed()?;
    assert_eq!(distinct(&case)?, 250);
    Ok(())
}

#[test]
fn a_log_that_was_lost_and_filled_again_is_not_taken_for_the_old_one() -> Result<()> {
    let mut cluster = Cluster::start("truncated-cluster")?;
    let (stopped, watched) =
        (cluster.case("truncated", &[2])?, cluster.case("truncated-running", &[2])?);
    for case in [&stopped, &watched] {
        cluster.send(case, 0, 100)?;
    }
    cluster.host(&stopped).args(&["--until-end"]).succeed()?;
    let running = cluster.host(&watched).start()?;
    wait_for_rows(&watched, 100)?;

    running.pause()?;
    cluster.second.kill()?;
    for case in [&stopped, &watched] {
        cluster.second.lose(&case.topic)?;
    }
    cluster.second.restart()?;
    // More than the table has: its offset falls into the middle of other records.
    for case in [&stopped, &watched] {
        cluster.send(case, 0, 250)?;
    }
    running.resume()?;
    let ended = [running.wait(LIMIT)?, cluster.host(&stopped).args(&["--until-end"]).run()?];
    for ended in ended {
        ensure!(ended.code() == Some(USAGE), "{}", ended.stderr);
        for words in ["AH-0217", "ends at offset 100", "of epoch 0"] {
            ensure!(ended.stderr.contains(words), "{words:?} is not in {}", ended.stderr);
        }
    }
    for case in [&stopped, &watched] {
        assert_eq!(distinct(case)?, 100, "records of the new log");
    }
    Ok(())
}
