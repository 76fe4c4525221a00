//! What may happen to a topic while nobody reads it: records are added or deleted, or the topic is created
//! anew. No record may be skipped silently.

mod brokers;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use audit_tests::broker::{self, add_partitions, create_topic, delete_records, delete_topic, send};
use audit_tests::case::{Case, TABLE};
use audit_tests::program::{LIMIT, wait_for, wait_until};

/// Something failed at run time.
/// A restart does not help.
const USAGE: i32 = 2;

/// Rows of the table, each of another record.
fn distinct(case: &Case) -> Result<u64> {
    let table = case.reader().read(TABLE)?;
    let n_distinct = table.agreed("distinct_origins")?;
    ensure!(table.n_rows()? == n_distinct, "a record is there twice");
    Ok(n_distinct)
}

/// Waits until the table has so many rows: reading it takes a second.
fn wait_for_rows(case: &Case, n_rows: u64) -> Result<()> {
    wait_until(&format!("{n_rows} rows in the table of {}", case.topic), LIMIT, || {
        // Before the first commit there is no table.
        Ok(case.reader().read(TABLE).and_then(|table| table.n_rows()).is_ok_and(|n| n >= n_rows))
    })
}

/// Deletes the topic of a case, and creates it again under the same name.
fn recreate(case: &Case) -> Result<()> {
    delete_topic(&case.topic)?;
    // Deletion is asynchronous: until it is done the name is in use.
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = create_topic(&case.topic, 1) {
        ensure!(Instant::now() < deadline, "{error:#}");
    }
    Ok(())
}

#[test]
fn a_late_start_leaves_out_nothing_that_comes_after_it() -> Result<()> {
    let case = Case::new("late", 3)?;
    case.generate(300, 1)?.succeed()?;
    let host = case.host()?.args(&["--until-end", "--start", "latest"]);
    host.succeed()?;
    case.generate(200, 2)?.succeed()?;
    host.succeed()?;
    assert_eq!(distinct(&case)?, 200, "what came between the two runs belongs to the second");
    Ok(())
}

#[test]
fn deleted_records_stop_the_run_until_it_may_skip_them() -> Result<()> {
    let case = Case::new("gap", 1)?;
    case.generate(100, 1)?.succeed()?;
    let host = case.host()?.args(&["--until-end"]);
    host.succeed()?;
    case.generate(100, 2)?.succeed()?;
    delete_records(&case.topic, 150)?;

    let refused = host.run()?;
    ensure!(refused.code() == Some(USAGE), "{}", refused.stderr);
    for word in ["ends at offset 100", "oldest record is 150", "50 offsets", "--on-gap continue"] {
        ensure!(refused.stderr.contains(word), "{word:?} is not in {}", refused.stderr);
    }
    host.clone().args(&["--on-gap", "continue"]).succeed()?;
    assert_eq!(distinct(&case)?, 150);
    // The gap is recorded: an ordinary run goes on.
    host.succeed()?;
    assert_eq!(distinct(&case)?, 150);
    Ok(())
}

#[test]
fn a_topic_that_was_created_anew_is_not_taken_for_the_old_one() -> Result<()> {
    let case = Case::new("anew", 1)?;
    case.generate(50, 1)?.succeed()?;
    let host = case.host()?.args(&["--until-end"]);
    host.succeed()?;
    recreate(&case)?;
    // More than the table has read: its offset falls into the middle of the new records.
    case.generate(200, 2)?.succeed()?;
    ensure!(broker::watermarks(&case.topic, 1)? == [200], "the new topic begins at 0");
    let refused = host.run()?;
    ensure!(refused.code() == Some(USAGE), "{}", refused.stderr);
    ensure!(refused.stderr.contains("deleted and created again"), "{}", refused.stderr);
    assert_eq!(distinct(&case)?, 50);
    Ok(())
}

#[test]
fn a_topic_that_is_created_anew_under_a_running_host_ends_the_run() -> Result<()> {
    let case = Case::new("anew-running", 1)?;
    case.generate(50, 1)?.succeed()?;
    let running = case.host()?.args(&["--trigger-interval", "200ms"]).start()?;
    wait_for_rows(&case, 50)?;
    // Paused, it finds the new topic longer than what it has read, and its offset in the middle of it.
    running.pause()?;
    recreate(&case)?;
    case.generate(200, 2)?.succeed()?;
    running.resume()?;
    let refused = running.wait(LIMIT)?;
    ensure!(refused.code() == Some(USAGE), "{}", refused.stderr);
    ensure!(refused.stderr.contains("AH-0207"), "{}", refused.stderr);
    assert_eq!(distinct(&case)?, 50, "records of the new topic");
    Ok(())
}

#[test]
fn when_everything_was_deleted_the_gap_is_recorded_although_no_record_follows() -> Result<()> {
    let case = Case::new("all-gone", 1)?;
    case.generate(100, 1)?.succeed()?;
    let host = case.host()?.args(&["--until-end"]);
    host.succeed()?;
    case.generate(50, 2)?.succeed()?;
    delete_records(&case.topic, 150)?;
    host.clone().args(&["--on-gap", "continue"]).succeed()?;
    // An ordinary run knows of the gap, and reads on behind it.
    case.generate(10, 3)?.succeed()?;
    host.succeed()?;
    assert_eq!(distinct(&case)?, 110);
    Ok(())
}

#[test]
fn a_partition_that_is_added_takes_no_record_from_the_others() -> Result<()> {
    let case = Case::new("added", 1)?;
    let event = br#"{"event_timestamp": "2025-06-02T08:00:00Z", "action_type": "LOGIN"}"#;
    send(&case.topic, vec![(0, Some(event.to_vec())); 50])?;
    let running = case.host()?.args(&["--trigger-interval", "200ms"]).start()?;
    wait_for_rows(&case, 50)?;
    add_partitions(&case.topic, 2)?;
    wait_for(&running, "reading a new partition", 1)?;
    // At its end librdkafka's own position in the first partition is one record too far.
    send(&case.topic, vec![(1, Some(event.to_vec())); 50])?;
    wait_for_rows(&case, 100)?;
    send(&case.topic, vec![(0, Some(event.to_vec())); 50])?;
    wait_for_rows(&case, 149)?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    assert_eq!(distinct(&case)?, 150);
    Ok(())
}
