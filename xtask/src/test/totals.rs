//! Counts tests by the lines that every Rust test program ends with.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::run;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Tests marked to be left out. There must be none.
    pub(super) skipped: u64,
}

impl Totals {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            passed: self.passed - before.passed,
            failed: self.failed - before.failed,
            skipped: self.skipped - before.skipped,
        }
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Adds what a line `test result: ok. 5 passed; 0 failed; 1 ignored; …` says; other lines say nothing.
    fn add_line(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let (Some(Ok(n)), Some(what)) = (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" => self.skipped += n,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Runs a `cargo test`, passes its output on line by line and counts. Skipped tests are an error.
pub(super) fn run_counted(command: &mut Command, totals: &mut Totals) -> Result<()> {
    let line = run::shown(command);
    println!("  $ {line}");
    let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("no output of the child")?;
    let before = *totals;
    for text in BufReader::new(output).split(b'\n') {
        let text = text.with_context(|| format!("cannot read the output of `{line}`"))?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        totals.add_line(&text);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    if totals.skipped > before.skipped {
        bail!("{} tests were skipped: a test runs or is deleted", totals.skipped - before.skipped);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_result_lines() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: of something else",
        ] {
            totals.add_line(line);
        }
        assert_eq!(totals, Totals { passed: 5, failed: 4, skipped: 1 });
        assert_eq!(totals.to_string(), "5 passed, 4 failed, 1 skipped");
    }
}
