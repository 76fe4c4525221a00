//! What came out of a case.

use audit_chain::Halvings;
use serde_json::Value;

use super::case::Expected;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// `{"offset": N, <each column that the plugin writes>: value}` for each row that was kept.
    pub(crate) rows: Vec<Value>,
    /// As delivered, without what a rebuild changes: the id and the digests.
    pub(crate) alerts: Vec<Value>,
    /// `{"offset": N, "class": …, "reason": …}`, by offset.
    pub(crate) dead_letters: Vec<Value>,
    /// The rows of the same events in two batches.
    pub(crate) split_rows: Vec<Value>,
    /// Of every batch in which calls failed.
    pub(crate) halvings: Vec<Halvings>,
    pub(crate) writes_columns: bool,
    pub(crate) is_detector: bool,
}

impl Outcome {
    /// What a case would have to expect to pass, apart from its rows in two batches.
    pub(crate) fn as_expected(&self) -> Expected {
        Expected {
            rows: Some(self.rows.clone()),
            alerts: Some(self.alerts.clone()),
            dead_letters: Some(self.dead_letters.clone()),
        }
    }
}
