//! Judges a batch whatever the plugin does: when a call fails, the batch is cut into parts until the rows are found
//! that the plugin fails on.
//!
//! A part that fails is cut into 64, so one poison row costs a call that fails for each level, two or three in all, and
//! about a hundred that succeed. Halving would need fewer calls, but a dozen that fail, and those are dear: each may
//! take its whole time, and is followed by a new instance. A detector is restored to its state before the failed call
//! ([`Runner::judge`]), and then gets each part once: no row reaches its state twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{concat, interleave};
use audit_core::Alert;

use crate::error::Error;
use crate::limits::Limits;
use crate::plugin::output::{self, GuestOutput};
use crate::plugin::spec::Blueprint;
use crate::runner::Runner;
use crate::runner::halvings::Halvings;
use crate::runner::replay::Part;
use crate::runner::thread_time::ThreadTime;
use crate::wasm::failure::{Failure, FailureKind};

/// Parts into which one that failed is cut.
const FAN_OUT: usize = 64;

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
    /// Why the search for poison rows was abandoned, if it was: then there are no columns, and rows for which the
    /// plugin was not called.
    pub(crate) tripped: Option<String>,
    /// Whether it judged any row.
    pub(crate) has_success: bool,
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

impl Verdict {
    /// Adds the verdict on some rows, given by their places; returns its columns.
    pub(crate) fn add(&mut self, other: Self, rows: &[u32]) -> Vec<ArrayRef> {
        let of_row = |(row, why): (u32, String)| Some((*rows.get(row as usize)?, why));
        self.quarantined.extend(other.quarantined.into_iter().filter_map(of_row));
        self.poison.extend(other.poison.into_iter().filter_map(of_row));
        self.alerts.extend(other.alerts);
        self.n_failures += other.n_failures;
        self.halvings.add(&other.halvings);
        self.has_success |= other.has_success;
        self.tripped = other.tripped.or(self.tripped.take());
        other.columns
    }
}

/// The plugin's columns for all rows, from those for some of them; null for the others.
pub(crate) fn scattered(
    blueprint: &Blueprint,
    n_rows: usize,
    pieces: &[(Vec<u32>, Vec<ArrayRef>)],
) -> Result<Vec<ArrayRef>, Error> {
    let is_whole = |piece: &&(_, Vec<ArrayRef>)| piece.1.len() == blueprint.writes.len();
    let pieces: Vec<_> = pieces.iter().filter(is_whole).collect();
    let mut places = vec![(0, 0); n_rows];
    for (piece_idx, (rows, _)) in pieces.iter().enumerate() {
        for (row_idx, row) in rows.iter().enumerate() {
            if let Some(place) = places.get_mut(*row as usize) {
                *place = (piece_idx + 1, row_idx);
            }
        }
    }
    let mut columns = Vec::with_capacity(blueprint.writes.len());
    for (idx, output) in blueprint.writes.iter().enumerate() {
        let null = new_null_array(&output.data_type, 1);
        let of_pieces = pieces.iter().filter_map(|(_, columns)| Some(columns.get(idx)?.as_ref()));
        let arrays: Vec<&dyn Array> = std::iter::once(null.as_ref()).chain(of_pieces).collect();
        columns.push(interleave(&arrays, &places)?);
    }
    Ok(columns)
}

/// What the search for poison rows may take, in all instances of a plugin together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Rows of the whole batch: a part's time is its share.
    batch_rows: usize,
    deadline: Instant,
    /// Until when starts, restores and snapshots may take: longer, so that a plugin that starts slowly is not lost.
    until: Instant,
    /// Poison rows that end the search.
    poison_max: usize,
    /// Poison rows of the batch found so far.
    n_poison: usize,
    /// The time of every part, and then of every row of it; otherwise its share.
    time_each: Option<Duration>,
}

impl Bounds {
    /// For a whole batch of so many rows.
    pub(crate) fn of_batch(batch_rows: usize, limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            batch_rows,
            deadline: now + limits.search_time(),
            until: now + limits.setup_budget(),
            poison_max: limits.poison_rows,
            n_poison: 0,
            time_each: None,
        }
    }

    /// For a part of a batch, while the breaker is open.
    pub(crate) fn of_part(rows: usize, limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            batch_rows: rows,
            deadline: now + limits.batch_time,
            until: now + limits.setup_budget(),
            poison_max: usize::MAX,
            n_poison: 0,
            time_each: Some(limits.share_time()),
        }
    }

    /// For the rest of the batch, after so many poison rows.
    pub(crate) fn after(self, n_poison: usize) -> Self {
        Self { n_poison, ..self }
    }
}

/// Judges a batch, or the rows of one lane of it, row by row if necessary. The output of all parts together
/// has the limits of one output.
pub(crate) fn judge(runner: &mut Runner, batch: &Part, bounds: Bounds) -> Result<Verdict, Error> {
    runner.charge_to(Some(bounds.until));
    let (pieces, verdict) = (Vec::new(), Verdict::default());
    let mut search = Search { bounds, pieces, n_output_bytes: 0, verdict };
    search.judge(runner, batch, 0);
    runner.charge_to(None);
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
        let rows = part.rows();
        let failure = match self.attempt(runner, part) {
            Ok(output) => return self.take(runner, output, rows, first_row),
            Err(failure) => failure,
        };
        self.verdict.halvings.note(&failure, rows);
        if rows <= 1 {
            self.give_up(rows, first_row, &failure.about(&part.columns, 0));
            return self.trip_if_due(&failure);
        }
        self.trip_if_due(&failure);
        // A part of an open breaker is small, and has failed in a short time: its rows are judged one by one.
        let step = if self.bounds.time_each.is_some() { 1 } else { rows.div_ceil(FAN_OUT) };
        for start in (0..rows).step_by(step) {
            if self.verdict.tripped.is_some() {
                return;
            }
            self.judge(runner, &part.slice(start, step.min(rows - start)), first_row + start);
        }
    }

    /// A call, and a second one if the first may have failed by chance: after a transient fault, and for a single row
    /// whose time passed while the machine did something else.
    fn attempt(&mut self, runner: &mut Runner, part: &Part) -> Result<GuestOutput, Failure> {
        let limits = &runner.blueprint.limits;
        let share = limits.part_time(part.rows(), self.bounds.batch_rows);
        let limit = self.bounds.time_each.unwrap_or(share);
        let longer = (limit * 4).min(limits.batch_time);
        let before = (part.rows() == 1).then(ThreadTime::now);
        let mut failure = match runner.judge(part, limit) {
            Ok(output) => return Ok(output),
            Err(failure) => failure,
        };
        self.verdict.n_failures += 1;
        let was_idle = failure.kind == FailureKind::Deadline
            && before.is_some_and(|before| before.was_idle(limit / 2));
        if failure.kind == FailureKind::Transient || was_idle {
            let limit = if was_idle { longer } else { limit };
            failure = match runner.judge(part, limit) {
                Ok(output) => return Ok(output),
                Err(failure) => failure,
            };
            self.verdict.n_failures += 1;
        }
        Err(failure)
    }

    fn trip_if_due(&mut self, failure: &Failure) {
        let n_poison = self.bounds.n_poison + self.verdict.poison.len();
        let why = if n_poison > self.bounds.poison_max {
            format!("more than {} rows of one batch (poison-rows-max)", self.bounds.poison_max)
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
        self.verdict.has_success |= rows > 0;
        self.pieces.push((rows, Some(output.columns)));
        // The limits of one output hold for a batch. The parts of an open breaker are smaller.
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
        if self.verdict.tripped.is_some() {
            return Ok(self.verdict);
        }
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
