//! What may happen to a topic while nobody reads it: records come, go, or begin anew. None may be left
//! out without a word.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use audit_tests::broker::{self, create_topic, delete_records, delete_topic};
use audit_tests::case::{Case, TABLE};

/// Something failed at run time.
const FAILED: i32 = 1;

fn distinct(case: &Case) -> Result<usize> {
    Ok(case.reader().origins(TABLE)?.1.len())
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
fn deleted_records_stop_the_run_until_it_is_told_to_go_on() -> Result<()> {
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
    // The gap is behind us: an ordinary run goes on.
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
    // Deleting takes its time, and until then the name is taken.
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = create_topic(&case.topic, 1) {
        ensure!(Instant::now() < deadline, "{error:#}");
    }
    // More than the table has read: its offset lies in the middle of other records.
    case.generate(200, 2)?.succeed()?;
    ensure!(broker::watermarks(&case.topic, 1)? == [200], "the new topic begins at 0");
    let refused = host.run()?;
    ensure!(refused.code() == Some(FAILED), "{}", refused.stderr);
    ensure!(refused.stderr.contains("deleted and created again"), "{}", refused.stderr);
    assert_eq!(distinct(&case)?, 50);
    Ok(())
}
