//! What a plugin says about a batch.

use crate::abi::audit_host::plugin::types::{self as abi, Alert, Quarantined};
use crate::batch::{Column, Utf8Column};

/// Collects the answer to one batch. Rows that are not named are kept as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    columns: Vec<(String, Column)>,
    quarantined: Vec<(usize, String)>,
    alerts: Vec<Alert>,
}

impl Judgement {
    /// Returns a column that the binding declares. For transforms only.
    pub fn write(&mut self, name: &str, column: Column) {
        self.columns.push((name.to_owned(), column));
    }

    /// Returns a column of text that the binding declares. For transforms only.
    pub fn write_utf8(&mut self, name: &str, column: Utf8Column) {
        self.write(name, Column::Utf8(column));
    }

    /// Takes a row out of the batch, at most once. The reason must not hold values of the row.
    pub fn quarantine(&mut self, row: usize, reason: String) {
        self.quarantined.push((row, reason));
    }

    /// Raises an alert. For detectors only.
    pub fn alert(&mut self, alert: Alert) {
        self.alerts.push(alert);
    }

    /// The columns returned so far.
    pub fn columns(&self) -> &[(String, Column)] {
        &self.columns
    }

    /// The rows taken out so far and why.
    pub fn quarantined(&self) -> &[(usize, String)] {
        &self.quarantined
    }

    /// The alerts raised so far.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    pub(crate) fn into_abi(self) -> abi::Judgement {
        let quarantined = self
            .quarantined
            .into_iter()
            .map(|(row, reason)| Quarantined { row: row as u32, reason });
        abi::Judgement {
            columns: self.columns.into_iter().map(|(name, column)| column.into_abi(name)).collect(),
            quarantined: quarantined.collect(),
            alerts: self.alerts,
        }
    }
}
