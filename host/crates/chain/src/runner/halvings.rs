//! Batches that were cut up because a call failed. A plugin that fails on many rows at once and on none of
//! them alone loses no row, so without this count nobody would ever learn of it.

use std::collections::BTreeMap;

use crate::wasm::failure::{Failure, FailureKind};

/// How often the batches of a plugin were cut up, and why at first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Halvings {
    /// Calls with more than one row that failed.
    pub n_times: u64,
    /// Why the first call failed; that of a breach goes before all others. Without the guest's own message.
    pub why: String,
    /// Whether the plugin broke the contract: what it returned is not what it declared, or the number of
    /// rows is wrong. A breach on a single row, which cannot be cut up, counts too.
    pub is_breach: bool,
}

impl Halvings {
    /// Notes a failed call.
    pub(crate) fn note(&mut self, failure: &Failure, rows: usize) {
        self.add(&Self {
            n_times: u64::from(rows > 1),
            why: failure.to_string(),
            is_breach: failure.kind == FailureKind::Output,
        });
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if self.why.is_empty() || (other.is_breach && !self.is_breach) {
            self.why.clone_from(&other.why);
        }
        self.n_times += other.n_times;
        self.is_breach |= other.is_breach;
    }
}

/// Logs what was cut up in an epoch: one line for each plugin.
pub(crate) fn log(by_plugin: BTreeMap<String, Halvings>) {
    for (plugin, Halvings { n_times, why, is_breach }) in by_plugin {
        if n_times > 0 {
            tracing::warn!(
                plugin,
                n_times,
                why,
                is_breach,
                "batches cut up as the plugin failed on them"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_goes_before_other_reasons_and_a_single_row_is_not_halved() {
        let mut halvings = Halvings::default();
        halvings.note(&Failure::new(FailureKind::Trap, "a trap"), 8);
        halvings.note(&Failure::new(FailureKind::Output, "3 values for 4 rows"), 4);
        halvings.note(&Failure::new(FailureKind::Output, "0 values for 1 rows"), 1);
        let why = "3 values for 4 rows".to_owned();
        assert_eq!(halvings, Halvings { n_times: 2, why, is_breach: true });
    }
}
