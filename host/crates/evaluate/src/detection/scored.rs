//! What of a stream is scored, and the goal.

use audit_generate::Label;

use super::finding::Finding;
use super::score::is_about;

/// The precision and recall that every rule must reach.
pub const GOAL: f64 = 0.95;

/// The end of a stream that is not scored, in microseconds: an attack may be cut off there.
const UNSCORED: i64 = 2 * 3_600_000_000;

/// The part of a stream that is scored: all but its end.
pub(super) struct Scored {
    cut: i64,
    pub(super) labels: Vec<Label>,
    /// Attacks and near misses that the end may have cut off.
    unscored: Vec<Label>,
}

impl Scored {
    /// Of a stream that ends at this time.
    pub(super) fn until(end: i64, labels: &[Label]) -> Self {
        let cut = end - UNSCORED;
        let is_over = |label: &Label| label.last_event < cut;
        let (labels, unscored) = labels.iter().cloned().partition(is_over);
        Self { cut, labels, unscored }
    }

    pub(super) fn findings(&self, mut found: Vec<Finding>) -> Vec<Finding> {
        found.retain(|finding| {
            let is_cut_off = self.unscored.iter().any(|label| is_about(finding, label));
            finding.from < self.cut && !is_cut_off
        });
        found
    }
}
