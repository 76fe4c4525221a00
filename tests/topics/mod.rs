//! What may happen to a topic while nobody reads it: records are added or deleted, or the topic is created
//! anew. No record may be skipped silently.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use audit_tests::broker::{self, create_topic, delete_records, delete_topic};
use audit_tests::case::{Case, TABLE};

/// Something failed at run time.
const FAILED: i32 = 1;

/// Rows of the table, each of another record.
fn distinct(case: &Case) -> Result<u64> {
    let table = case.reader().read(TABLE)?;
    let n_distinct = table.agreed("distinct_origins")?;
    ensure!(table.n_rows()? == n_distinct, "a record is there twice");
    Ok(n_distinct)
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
    ensure!(refused.code() == Some(FAILED), "{}", refused.stderr);
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
    delete_topic(&case.topic)?;
    // Deletion is asynchronous: until it is done the name is in use.
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = create_topic(&case.topic, 1) {
        ensure!(Instant::now() < deadline, "{error:#}");
    }
    // More than the table has read: its offset falls into the middle of the new records.
    case.generate(200, 2)?.succeed()?;
    ensure!(broker::watermarks(&case.topic, 1)? == [200], "the new topic begins at 0");
    let refused = host.run()?;
    ensure!(refused.code() == Some(FAILED), "{}", refused.stderr);
    ensure!(refused.stderr.contains("deleted and created again"), "{}", refused.stderr);
    assert_eq!(distinct(&case)?, 50);
    Ok(())
}
