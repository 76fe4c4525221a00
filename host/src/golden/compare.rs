//! Compares what a case expects with what came out.

use std::fmt;

use audit_golden::{ALERTS, DEAD_LETTERS, ROWS};
use serde_json::Value;

use super::case::Case;
use super::diff::{self, Diff};
use super::outcome::Outcome;

/// One way in which a case failed, shown as the lines that differ.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mismatch {
    /// The lines are not those of the file.
    Lines { file: &'static str, diff: Diff },
    /// Something came out that the case does not mention.
    Unexpected { file: &'static str, diff: Diff },
    /// Two batches of the same events gave other rows than one.
    Split { diff: Diff },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines { file, diff } => {
                write!(f, "{file} (- expected, + found):\n{diff}")
            }
            Self::Unexpected { file, diff } => write!(
                f,
                "there is no {file}, but this came out; if it is right, write the file with \
                 --update:\n{diff}"
            ),
            Self::Split { diff } => write!(
                f,
                "the same events in two batches gave other rows (- in one, + in two); a row must not \
                 depend on the rows around it, and the batch's clock is fixed by \"clock\" in \
                 case.json:\n{diff}"
            ),
        }
    }
}

/// Everything in which the outcome differs from what the case expects; empty if it passed.
pub(crate) fn compare(case: &Case, outcome: &Outcome) -> Vec<Mismatch> {
    let expected = &case.expected;
    // For a plugin that writes no column a row says only that it was kept.
    let asks_for_rows = outcome.writes_columns
        || expected.rows.as_ref().is_some_and(|expected| !expected.is_empty());
    let rows = if asks_for_rows { outcome.rows.as_slice() } else { &[] };
    let mut mismatches: Vec<_> = [
        lines(ROWS, expected.rows.as_deref(), rows),
        lines(ALERTS, expected.alerts.as_deref(), &outcome.alerts),
        lines(DEAD_LETTERS, expected.dead_letters.as_deref(), &outcome.dead_letters),
    ]
    .into_iter()
    .flatten()
    .collect();
    let split = Diff::of(&outcome.rows, &outcome.split_rows, diff::same);
    mismatches.extend((!split.is_empty()).then_some(Mismatch::Split { diff: split }));
    mismatches
}

fn lines(file: &'static str, expected: Option<&[Value]>, found: &[Value]) -> Option<Mismatch> {
    let alike = if file == DEAD_LETTERS { same_letter } else { diff::same };
    let diff = Diff::of(expected.unwrap_or_default(), found, alike);
    if diff.is_empty() {
        return None;
    }
    Some(match expected {
        Some(_) => Mismatch::Lines { file, diff },
        None => Mismatch::Unexpected { file, diff },
    })
}

/// An expected dead letter without a reason matches any reason: that of a trap names source lines, which
/// change.
fn same_letter(expected: &Value, found: &Value) -> bool {
    if expected.get("reason").is_some() {
        return diff::same(expected, found);
    }
    let mut found = found.clone();
    if let Value::Object(fields) = &mut found {
        fields.remove("reason");
    }
    diff::same(expected, &found)
}
