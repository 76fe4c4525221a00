//! Rows went back while the offsets did not, or the catalog points at a table of yesterday.

use anyhow::{Result, ensure};
use audit_tests::case::{DEAD_LETTERS, TABLE};
use audit_tests::program::LIMIT;

use super::catalog_file::CatalogCopy;
use super::metadata::register_newest;
use super::{
    FAILED, USAGE, check_error, check_exactly_once, filled, host, n_rows, rest, send_events, stop,
    wait_for_rows,
};

/// What may be done about rows that went back.
const REMEDIES: &str = "rollback|roll back|roll it|snapshot|--group|register|restore";

#[test]
fn rows_that_another_client_rewrote_are_found() -> Result<()> {
    let case = filled("lanes-rewritten")?;
    case.reader().change(TABLE, &["rewrite"])?;
    send_events(&case, 10)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_table_that_was_rolled_back_is_refused_whatever_came_after_it() -> Result<()> {
    let case = filled("lanes-rolled-back")?;
    send_events(&case, 10)?;
    case.reader().change(TABLE, &["rollback", "--rows", "10"])?;
    ensure!(n_rows(&case, TABLE)? == 10, "nothing was rolled back");
    let words = [TABLE, &case.topic, REMEDIES];
    let refused = rest(&case)?.run()?;
    check_error("after a rollback", &refused, &[FAILED, USAGE], &words)?;

    case.reader().change(TABLE, &["rewrite"])?;
    let refused = rest(&case)?.run()?;
    check_error("after a rollback and a compaction", &refused, &[FAILED, USAGE], &words)?;
    ensure!(n_rows(&case, TABLE)? == 10, "something was written");
    Ok(())
}

#[test]
fn a_rollback_beside_a_running_host_ends_it_before_it_commits() -> Result<()> {
    let case = filled("lanes-rolled-back-running")?;
    let running = host(&case, "")?.start()?;
    send_events(&case, 10)?;
    wait_for_rows(&case, 40)?;
    case.reader().change(TABLE, &["rollback", "--rows", "30"])?;
    ensure!(n_rows(&case, TABLE)? == 30, "nothing was rolled back");
    send_events(&case, 10)?;
    let ended = running.wait(LIMIT)?;
    check_error("a running host", &ended, &[USAGE], &[TABLE, &case.topic, REMEDIES])?;
    ensure!(n_rows(&case, TABLE)? == 30, "something was written");
    let refused = rest(&case)?.run()?;
    check_error("the next start", &refused, &[USAGE], &[TABLE, &case.topic, REMEDIES])?;
    // As the documentation says.
    case.reader().change(TABLE, &["forward"])?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_catalog_of_yesterday_is_refused_until_it_knows_the_newest_metadata() -> Result<()> {
    let case = filled("lanes-yesterday")?;
    let yesterday = CatalogCopy::of(&case, "yesterday")?;
    let running = host(&case, "")?.start()?;
    send_events(&case, 20)?;
    wait_for_rows(&case, 50)?;
    stop(running)?;
    send_events(&case, 10)?;
    yesterday.put_back(&case)?;
    ensure!(n_rows(&case, TABLE)? == 30, "the catalog is not that of yesterday");

    let refused = rest(&case)?.run()?;
    let words = [TABLE, "catalog", "table register --latest"];
    check_error("a start with it", &refused, &[FAILED, USAGE], &words)?;
    ensure!(n_rows(&case, TABLE)? == 30, "something was written");
    for table in [TABLE, DEAD_LETTERS] {
        register_newest(&case, table)?;
    }
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}
