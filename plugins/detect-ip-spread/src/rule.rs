//! The rule: more addresses in a window than one person has.

use audit_detect::{Burst, LOOSE_MAX, Rule, Sighting, first_of_distinct};
use audit_plugin_sdk::Severity;

use crate::config::Settings;

impl Rule for Settings {
    fn window_micros(&self) -> i64 {
        self.window.micros()
    }

    fn first_of_burst(&self, loose: &[Sighting], at: usize) -> Option<usize> {
        first_of_distinct(loose, at, self.addresses + 1, self.window_micros(), |_| true)
    }

    fn severity(&self, _: &Burst, _: usize) -> Severity {
        Severity::Medium
    }

    fn worst(&self) -> Severity {
        Severity::Medium
    }

    fn n_kept(&self) -> usize {
        LOOSE_MAX
    }

    fn is_of_tags(&self) -> bool {
        true
    }
}
