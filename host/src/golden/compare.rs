//! Compares what a case expects with what came out.

use std::fmt;

use audit_core::ReasonClass;
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
    /// What the plugin returned breaks the contract. No case can expect that.
    Breach { why: String },
    /// The plugin failed on a batch, and on none of its rows alone.
    Halved { n_times: u64, why: String },
    /// A detector found other things in other batches.
    Batches { how: &'static str, diff: Diff },
    /// A detector found other things after its own snapshot was restored; `after` so many events, or only with
    /// several restarts.
    Restart { after: Option<usize>, n_events: usize, diff: Diff },
    /// A detector does not take its own snapshot.
    Refused { after: usize, n_events: usize, why: String },
    /// The plugin fails on events.
    Faults { diff: Diff },
    /// The same with nulls in these columns.
    Nulls { nulls: String, mismatch: Box<Mismatch> },
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
            Self::Breach { why } => write!(
                f,
                "it broke the contract, and the host had to judge its rows one by one or dead-letter them: \
                 {why}"
            ),
            Self::Halved { n_times, why } => write!(
                f,
                "it failed on a batch and on none of its rows alone, so that the batch was cut up {n_times} \
                 times: {why}"
            ),
            Self::Batches { how, diff } => write!(
                f,
                "the same events gave other findings (- in one batch, + {how}); a run cuts batches anywhere, \
                 so a finding must not depend on where one ends, and the batch's clock is fixed by \
                 \"clock\" in case.json:\n{diff}"
            ),
            Self::Restart { after, n_events, diff } => {
                match after {
                    Some(after) => write!(f, "a restart after event {after} of {n_events}")?,
                    None => write!(f, "a restart after each of the {n_events} events")?,
                }
                write!(
                    f,
                    " gave other findings (- without, + with it); `snapshot` must write all that later \
                     events need, and `restore` must take all of it:\n{diff}"
                )
            }
            Self::Refused { after, n_events, why } => write!(
                f,
                "a restart after event {after} of {n_events} is not possible; `restore` must take what \
                 `snapshot` wrote: {why}"
            ),
            Self::Faults { diff } => write!(
                f,
                "it fails on events that it judges otherwise; every field but event_timestamp and action_type \
                 may be absent:\n{diff}"
            ),
            Self::Nulls { nulls, mismatch } => write!(f, "with {nulls}: {mismatch}"),
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
    mismatches.extend(breach(outcome));
    let split = Diff::of(&outcome.rows, &outcome.split_rows, diff::same);
    mismatches.extend((!split.is_empty()).then_some(Mismatch::Split { diff: split }));
    mismatches
}

/// A breach of the contract; or a failure that cutting up hid, as every row passed by itself.
pub(super) fn breach(outcome: &Outcome) -> Option<Mismatch> {
    if let Some(breach) = outcome.halvings.iter().find(|halvings| halvings.is_breach) {
        return Some(Mismatch::Breach { why: breach.why.clone() });
    }
    let is_fault = |letter: &Value| letter["class"] == ReasonClass::PluginFault.as_str();
    let n_times = outcome.halvings.iter().map(|halvings| halvings.n_times).sum();
    if n_times == 0 || outcome.dead_letters.iter().any(is_fault) {
        return None;
    }
    let why = outcome.halvings.first().map(|halvings| halvings.why.clone());
    Some(Mismatch::Halved { n_times, why: why.unwrap_or_default() })
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
