//! Tests that wait for leases, locks and clocks, and compute little.

use std::thread;

use anyhow::{Result, ensure};

use super::{catalog_file, clock, turns};

/// A name, and what it runs.
type Test = (&'static str, fn() -> Result<()>);

/// Side by side they take as long as the slowest.
const WAITING: [Test; 4] = [
    ("restarted", turns::one_that_is_restarted_again_and_again_waits_until_the_other_is_silent),
    ("minutes", clock::a_minute_or_two_ahead_are_waited_out),
    ("locked", catalog_file::a_short_lock_is_waited_out_and_a_long_one_ends_the_run),
    ("unreadable", catalog_file::a_commit_that_cannot_be_read_back_is_called_unknown),
];

#[test]
fn leases_locks_and_clocks_are_waited_for() -> Result<()> {
    let mut failed = Vec::new();
    thread::scope(|scope| {
        let all = WAITING.map(|(name, test)| (name, scope.spawn(test)));
        for (name, test) in all {
            match test.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(format!("{name}: {error:?}")),
                Err(_) => failed.push(format!("{name}: it panicked")),
            }
        }
    });
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}
