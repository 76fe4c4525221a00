//! A compacted topic: offsets have holes.

use anyhow::{Result, ensure};
use audit_tests::broker::{self, Message, create_topic_with, readable, send_messages};
use audit_tests::case::Case;
use audit_tests::env;
use audit_tests::program::{LIMIT, wait_until};

use super::feed::{office, quiet};
use super::{check_ids, host, spread};

const N_PARTITIONS: i32 = 4;
/// A segment ends after an hour of record time, and only whole segments are compacted.
const SETTINGS: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "3600000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("max.compaction.lag.ms", "1"),
];

#[test]
fn the_holes_of_a_compacted_topic_change_no_alert() -> Result<()> {
    create_topic_with("order-compacted", N_PARTITIONS, &SETTINGS)?;
    let dir = env::folder("order-compacted")?;
    let case = Case { topic: "order-compacted".into(), n_partitions: N_PARTITIONS, dir };
    let keyed = |index: usize, message: Message| Message {
        key: Some(index.to_string().into_bytes()),
        ..message
    };
    // Each event has a predecessor of the same key and time, which compaction removes.
    let n = office().events.len();
    let all = spread(0, n, N_PARTITIONS).enumerate().flat_map(|(index, (at, message))| {
        let before = quiet("before", index, message.time.unwrap_or_default());
        [(at, keyed(index, before.message())), (at, keyed(index, message))]
    });
    let all: Vec<_> = all.collect();
    let mut rest = all.into_iter().peekable();
    // Batches of their own, so that segments end.
    while rest.peek().is_some() {
        send_messages(&case.topic, rest.by_ref().take(4_000))?;
    }
    let brokers = broker::brokers()?;
    let n_left = |most: usize| -> Result<bool> {
        Ok(readable(&brokers, &case.topic, N_PARTITIONS)?.len() <= most)
    };
    ensure!(!n_left(n)?, "compacted before it was filled");
    wait_until("a topic with holes", LIMIT, || n_left(n * 3 / 2))?;

    host(&case, "")?.args(&["--until-end"]).succeed()?;
    check_ids(&case)?;
    // What is compacted meanwhile is in the table, and not in the topic any more.
    let (_, rows) = case.reader().origins(audit_tests::case::TABLE)?;
    let found: std::collections::BTreeSet<_> = rows.iter().copied().collect();
    ensure!(found.len() == rows.len(), "a record is there twice");
    let lost = readable(&brokers, &case.topic, N_PARTITIONS)?.difference(&found).count();
    ensure!(lost == 0, "{lost} records are lost");
    ensure!(found.len() < n * 2, "it read what was removed");
    Ok(())
}
