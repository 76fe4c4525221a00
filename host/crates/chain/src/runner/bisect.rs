//! Judges a batch whatever the plugin does: when a call fails, the batch is halved until the rows are found
//! that the plugin fails on.
//!
//! One poison row in `n` costs about `2 log2 n` further calls, over `3 n` rows together. A detector is
//! restored to its state before the failed call each time ([`Runner::judge`]), and then gets each half
//! once: no row reaches its state twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use audit_core::Alert;

use crate::error::Error;
use crate::plugin::output::{self, GuestOutput};
use crate::plugin::spec::Blueprint;
use crate::runner::Runner;
use crate::runner::halvings::Halvings;
use crate::runner::replay::Part;
use crate::wasm::failure::{Failure, FailureKind};

/// The outcome for the rows of a batch.
#[derive(Default)]
pub(crate) struct Verdict {
    /// The plugin's columns for all rows; null where it did not judge.
    pub(crate) columns: Vec<ArrayRef>,
    /// Rows that it quarantined, and why.
    pub(crate) quarantined: BTreeMap<u32, String>,
    /// Rows that it failed on, and why.
    pub(crate) poison: BTreeMap<u32, String>,
    pub(crate) alerts: Vec<Alert>,
    /// Calls that failed.
    pub(crate) n_failures: u64,
    pub(crate) halvings: Halvings,
    /// Why the search for poison rows was abandoned, if it was.
    pub(crate) tripped: Option<String>,
}

impl Verdict {
    /// The verdict on rows for which the plugin was not called.
    pub(crate) fn not_called(blueprint: &Blueprint, rows: usize, why: &str) -> Self {
        Self {
            columns: null_columns(blueprint, rows),
            poison: (0..rows as u32).map(|row| (row, why.to_owned())).collect(),
            ..Self::default()
        }
    }
}

/// What the search for poison rows may take, in all instances of a plugin together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Rows of the whole batch: a part's time is its share.
    batch_rows: usize,
    deadline: Instant,
    /// Poison rows of the batch found so far.
    n_poison: usize,
}

impl Bounds {
    pub(crate) fn new(batch_rows: usize, time: Duration) -> Self {
        Self { batch_rows, deadline: Instant::now() + time, n_poison: 0 }
    }

    /// For the rest of the batch, after so many poison rows.
    pub(crate) fn after(self, n_poison: usize) -> Self {
        Self { n_poison, ..self }
    }
}

/// Judges a batch, or the rows of one lane of it, row by row if necessary. The output of all parts together
/// has the limits of one output.
pub(crate) fn judge(runner: &mut Runner, batch: &Part, bounds: Bounds) -> Result<Verdict, Error> {
    let (pieces, verdict) = (Vec::new(), Verdict::default());
    let mut search = Search { bounds, pieces, n_output_bytes: 0, verdict };
    search.judge(runner, batch, 0);
    search.assemble(&runner.blueprint.clone())
}

struct Search {
    bounds: Bounds,
    /// Bytes of all columns so far.
    n_output_bytes: usize,
    /// The plugin's columns, part by part; `None` for so many rows that it did not judge.
    pieces: Vec<(usize, Option<Vec<ArrayRef>>)>,
    verdict: Verdict,
}

impl Search {
    fn judge(&mut self, runner: &mut Runner, part: &Part, first_row: usize) {
        if let Some(why) = &self.verdict.tripped {
            let why = why.clone();
            return self.give_up(part.rows(), first_row, &why);
        }
        let limit = runner.blueprint.limits.part_time(part.rows(), self.bounds.batch_rows);
        let failure = match self.attempt(runner, part, limit) {
            Ok(output) => return self.take(runner, output, part.rows(), first_row),
            Err(failure) => failure,
        };
        self.verdict.halvings.note(&failure, part.rows());
        if part.rows() <= 1 {
            self.give_up(part.rows(), first_row, &failure.about(&part.columns, 0));
            return self.trip_if_due(runner, &failure);
        }
        self.trip_if_due(runner, &failure);
        let half = part.rows() / 2;
        self.judge(runner, &part.slice(0, half), first_row);
        self.judge(runner, &part.slice(half, part.rows() - half), first_row + half);
    }

    /// A call, and a second one after a transient fault.
    fn attempt(
        &mut self,
        runner: &mut Runner,
        part: &Part,
        limit: Duration,
    ) -> Result<GuestOutput, Failure> {
        let mut failure = match runner.judge(part, limit) {
            Ok(output) => return Ok(output),
            Err(failure) => failure,
        };
        self.verdict.n_failures += 1;
        if failure.kind == FailureKind::Transient {
            failure = match runner.judge(part, limit) {
                Ok(output) => return Ok(output),
                Err(failure) => failure,
            };
            self.verdict.n_failures += 1;
        }
        Err(failure)
    }

    fn trip_if_due(&mut self, runner: &Runner, failure: &Failure) {
        let limits = &runner.blueprint.limits;
        let n_poison = self.bounds.n_poison + self.verdict.poison.len();
        let why = if n_poison > limits.poison_rows {
            format!("more than {} rows of one batch (poison-rows-max)", limits.poison_rows)
        } else if Instant::now() > self.bounds.deadline {
            "rows of one batch for too long".to_owned()
        } else {
            return;
        };
        self.verdict.tripped = Some(format!("the plugin failed on {why}; at last: {failure}"));
    }

    fn take(&mut self, runner: &Runner, output: GuestOutput, rows: usize, first_row: usize) {
        let first = first_row as u32;
        let bytes: usize = output.columns.iter().map(Array::get_array_memory_size).sum();
        self.n_output_bytes += bytes;
        self.verdict
            .quarantined
            .extend(output.quarantined.into_iter().map(|(r, w)| (first + r, w)));
        self.verdict.alerts.extend(output.alerts);
        self.pieces.push((rows, Some(output.columns)));
        // A detector has counted these rows, so its output for them stays; only the others are given up.
        let is_too_much = self.n_output_bytes > runner.blueprint.limits.output_bytes
            || self.verdict.alerts.len() > output::alerts_max(self.bounds.batch_rows);
        if self.pieces.len() > 1 && is_too_much {
            let why =
                "the plugin failed on rows of one batch, and returned too much for the others";
            self.verdict.tripped = Some(why.to_owned());
        }
    }

    fn give_up(&mut self, rows: usize, first_row: usize, why: &str) {
        let first = first_row as u32;
        self.verdict.poison.extend((first..first + rows as u32).map(|row| (row, why.to_owned())));
        self.pieces.push((rows, None));
    }

    fn assemble(mut self, blueprint: &Blueprint) -> Result<Verdict, Error> {
        if let [(_, Some(columns))] = &mut self.pieces[..] {
            self.verdict.columns = std::mem::take(columns);
            return Ok(self.verdict);
        }
        let pieces: Vec<Vec<ArrayRef>> = self
            .pieces
            .into_iter()
            .map(|(rows, columns)| columns.unwrap_or_else(|| null_columns(blueprint, rows)))
            .collect();
        for idx in 0..blueprint.writes.len() {
            let parts: Vec<_> = pieces.iter().filter_map(|p| Some(p.get(idx)?.as_ref())).collect();
            self.verdict.columns.push(concat(&parts)?);
        }
        Ok(self.verdict)
    }
}

fn null_columns(blueprint: &Blueprint, rows: usize) -> Vec<ArrayRef> {
    blueprint.writes.iter().map(|output| new_null_array(&output.data_type, rows)).collect()
}
