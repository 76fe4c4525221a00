//! Rows that a plugin has judged. Where every row of a part fails, they tell whose fault that is: a plugin that
//! judges them again works.

use std::time::{Duration, Instant};

use arrow::error::ArrowError;

use crate::runner::replay::{BatchContext, Lane, Part};

/// Rows of a sample: copied, so that they do not keep their batch in memory.
const ROWS: usize = 4;
/// How long a sample is kept before newer rows replace it.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// A sample of the rows that succeeded last.
#[derive(Default)]
pub(crate) struct Sample(Option<Taken>);

struct Taken {
    lane: Lane,
    part: Part,
    at: Instant,
}

impl Sample {
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether new rows should be taken.
    pub(crate) fn is_due(&self) -> bool {
        self.0.as_ref().is_none_or(|taken| taken.at.elapsed() >= KEPT_FOR)
    }

    /// Takes some of the rows given, which are of one lane and did not fail.
    pub(crate) fn take(&mut self, lane: Lane, part: &Part, rows: &[u32]) -> Result<(), ArrowError> {
        let rows: Vec<u32> =
            rows.iter().copied().step_by(rows.len().div_ceil(ROWS).max(1)).collect();
        self.0 = Some(Taken { lane, part: part.take(&rows)?, at: Instant::now() });
        Ok(())
    }

    /// The rows, with the lookups of now: a plugin may fail because of those.
    pub(crate) fn part(&self, now: &BatchContext) -> Option<(Lane, Part)> {
        let taken = self.0.as_ref()?;
        let context = BatchContext { lookups: now.lookups.clone(), ..taken.part.context.clone() };
        Some((taken.lane.clone(), Part { context, columns: taken.part.columns.clone() }))
    }
}
