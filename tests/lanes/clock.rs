//! A table whose last commit lies in the future: iceberg takes no snapshot that is more than a minute older.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::program::{LIMIT, wait_until};
use serde_json::{Value, json};

use super::metadata::{Edit, edit};
use super::{AT_ONCE, FAILED, check_error, check_exactly_once, filled, host, rest, send_events};

const AN_HOUR: Duration = Duration::from_hours(1);
/// Less than two minutes by the time that it takes to start.
const TWO_MINUTES: Duration = Duration::from_secs(115);
/// Ten seconds more than iceberg tolerates.
const A_MINUTE: Duration = Duration::from_secs(70);
const TOLERATED: Duration = Duration::from_mins(1);

/// Moves the last commit so far ahead of the clock.
fn last_commit_ahead(case: &Case, by: Duration) -> Result<Edit> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)? + by;
    let ahead = json!(u64::try_from(now.as_millis())?);
    edit(case, TABLE, |metadata| {
        metadata["last-updated-ms"] = ahead.clone();
        let current = metadata["current-snapshot-id"].clone();
        for snapshot in metadata["snapshots"].as_array_mut().into_iter().flatten() {
            if snapshot["snapshot-id"] == current {
                snapshot["timestamp-ms"] = ahead.clone();
            }
        }
        let log = metadata["snapshot-log"].as_array_mut().and_then(|log| log.last_mut());
        let last: &mut Value = log.context("a table without a snapshot")?;
        last["timestamp-ms"] = ahead;
        Ok(())
    })
}

/// How many times of day a line names, with date and minute.
fn n_times(line: &str) -> usize {
    let is_time = |window: &[u8]| {
        let shape = b"dddd-dd-dd?dd:dd";
        let fits = |(byte, kind): (&u8, &u8)| match kind {
            b'd' => byte.is_ascii_digit(),
            b'?' => true,
            other => byte == other,
        };
        window.iter().zip(shape).all(fits)
    };
    line.as_bytes().windows(16).filter(|window| is_time(window)).count()
}

/// The line ends with its cause: both times are named.
fn check_names_both(line: &str) -> Result<()> {
    ensure!(n_times(line) >= 2, "it does not name both times: {line}");
    Ok(())
}

#[test]
fn an_hour_ahead_ends_the_start_at_once() -> Result<()> {
    let case = filled("lanes-hour")?;
    send_events(&case, 10)?;
    let ahead = last_commit_ahead(&case, AN_HOUR)?;
    let refused = rest(&case)?.run()?;
    check_error("a start", &refused, &[FAILED], &[TABLE, "clock"])?;
    check_names_both(refused.error_lines()[0])?;
    ensure!(refused.elapsed < AT_ONCE, "it took {:?}", refused.elapsed);
    ahead.undo(&case)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn an_hour_ahead_ends_a_run_that_is_about_to_commit() -> Result<()> {
    let case = filled("lanes-hour-later")?;
    let running = host(&case, "")?.start()?;
    wait_until("it reads", LIMIT, || Ok(super::claims(&case)?.len() == 2))?;
    // A client whose clock is wrong commits.
    let ahead = last_commit_ahead(&case, AN_HOUR)?;
    send_events(&case, 10)?;
    let ended = running.wait(AT_ONCE)?;
    check_error("a running host", &ended, &[FAILED], &[TABLE, "clock"])?;
    check_names_both(ended.error_lines()[0])?;
    ahead.undo(&case)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

/// One of [`super::WAITING`].
pub(super) fn a_minute_or_two_ahead_are_waited_out() -> Result<()> {
    let case = filled("lanes-minutes")?;
    send_events(&case, 10)?;
    let ahead = last_commit_ahead(&case, TWO_MINUTES)?;
    let mut waiting = rest(&case)?.start()?;
    let waits = |log: &str| log.lines().any(|line| line.contains("wait") && n_times(line) > 2);
    // Each line of the log begins with a time of its own.
    wait_until("it says that it waits, with both times", AT_ONCE, || {
        ensure!(!waiting.has_ended()?, "it ended instead of waiting:\n{}", waiting.log()?);
        Ok(waits(&waiting.log()?))
    })?;
    waiting.terminate()?;
    waiting.wait(AT_ONCE)?;
    ahead.undo(&case)?;

    last_commit_ahead(&case, A_MINUTE)?;
    let waited = rest(&case)?.succeed()?;
    ensure!(waits(&waited.stderr), "it does not say that it waits:\n{}", waited.stderr);
    let waits_for = TOLERATED + Duration::from_secs(2) + waited.elapsed;
    ensure!(waits_for > A_MINUTE, "it took {:?} only", waited.elapsed);
    check_exactly_once(&case)?;
    Ok(())
}
