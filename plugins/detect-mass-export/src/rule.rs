//! The rule: too many exports in a few minutes, or too many rows in a window.

use audit_detect::{Burst, Rule, Sighting, first_of_count, first_of_weight};
use audit_plugin_sdk::Severity;

use crate::config::Settings;

/// A window is alerted by the number of exports within `events-window`, or by the rows of the whole window.
/// Its severity only depends on its rows.
impl Rule for Settings {
    fn window_micros(&self) -> i64 {
        self.window.micros()
    }

    fn first_of_burst(&self, loose: &[Sighting], at: usize) -> Option<usize> {
        // The rows first: their span starts earlier, so that it holds as many rows as possible.
        first_of_weight(loose, at, self.rows_medium, self.window_micros())
            .or_else(|| first_of_count(loose, at, self.events, self.events_window.micros()))
    }

    fn severity(&self, burst: &Burst, _: usize) -> Severity {
        if burst.weight >= self.rows_critical {
            Severity::Critical
        } else if burst.weight >= self.rows_high {
            Severity::High
        } else {
            Severity::Medium
        }
    }

    fn worst(&self) -> Severity {
        Severity::Critical
    }

    fn weight(&self, sighting: &Sighting) -> u64 {
        sighting.tag
    }
}
