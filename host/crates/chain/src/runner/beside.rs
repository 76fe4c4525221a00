//! Judges whole batches beside the stream: for a candidate, for which nobody waits.

use arrow::record_batch::RecordBatch;

use crate::error::Error;
use crate::runner::replay::BatchContext;
use crate::runner::search::{self, Verdict};
use crate::runner::slot::Slot;

impl Slot {
    /// Judges a batch in as many parts as its breaker allows, and returns the states that were lost. Rows that would
    /// have to wait count as failed.
    pub(crate) fn judge_beside(
        &mut self,
        context: &BatchContext,
        columns: &RecordBatch,
    ) -> Result<(Verdict, Vec<String>), Error> {
        let n_rows = columns.num_rows();
        let (mut verdict, mut pieces, mut lost) = (Verdict::default(), Vec::new(), Vec::new());
        let mut first = 0;
        while first < n_rows {
            let wanted = self.part_rows().max(self.part_rows_min());
            let end = first.saturating_add(wanted).min(n_rows);
            self.begin();
            let judged = self.judge(context, &columns.slice(first, end - first), end == n_rows)?;
            lost.extend(judged.lost);
            let rows: Vec<u32> = (first as u32..end as u32).collect();
            match judged.again {
                None => {
                    self.end();
                    let columns = verdict.add(judged.verdict, &rows);
                    pieces.push((rows, columns));
                }
                Some(wait) => {
                    self.roll_back();
                    verdict.n_failures += judged.verdict.n_failures;
                    if wait.is_zero() {
                        continue;
                    }
                    let why = "it failed on every row of a part, and on rows that it judged before";
                    verdict.poison.extend(rows.into_iter().map(|row| (row, why.to_owned())));
                }
            }
            first = end;
        }
        self.end_batch();
        verdict.columns = search::scattered(&self.blueprint, n_rows, &pieces)?;
        Ok((verdict, lost))
    }
}
