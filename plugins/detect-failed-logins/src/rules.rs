//! The rules, in windows of event time.

use audit_detect::{
    Burst, Rule, Sighting, first_of_count, first_of_distinct, n_distinct_near, stable_hash,
};
use audit_plugin_sdk::Severity;

use crate::config::Settings;

/// The most events that an alert cites.
const N_CITED: usize = 100;

/// More than `threshold` failures in a `window`; high severity if `high_count` are in one `high-window`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guessing<'a>(pub(crate) &'a Settings);

impl Rule for Guessing<'_> {
    fn window_micros(&self) -> i64 {
        self.0.window.micros()
    }

    fn first_of_burst(&self, loose: &[Sighting], at: usize) -> Option<usize> {
        first_of_count(loose, at, self.0.threshold + 1, self.window_micros())
    }

    fn severity(&self, burst: &Burst, at: usize) -> Severity {
        let (count, length) = (self.0.high_count, self.0.high_window_micros);
        match first_of_count(&burst.kept, at, count, length) {
            Some(_) => Severity::High,
            None => Severity::Medium,
        }
    }

    fn worst(&self) -> Severity {
        Severity::High
    }

    fn n_kept(&self) -> usize {
        N_CITED.max(self.0.high_count).max(self.0.threshold + 1)
    }
}

/// At least `spray_users` users fail in a `spray_window`, and more users fail than succeed less than a
/// `spray_window` away: an office with one address has both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spraying<'a>(pub(crate) &'a Settings);

impl Rule for Spraying<'_> {
    fn window_micros(&self) -> i64 {
        self.0.spray_window.micros()
    }

    fn first_of_burst(&self, loose: &[Sighting], at: usize) -> Option<usize> {
        if is_success(&loose[at]) {
            return None;
        }
        let (users, length) = (self.0.spray_users, self.window_micros());
        let failing = |tag: u64| tag & 1 == 0;
        let first = first_of_distinct(loose, at, users, length, failing)?;
        // All users who could share a window with this failure. Otherwise a span of failures could be found
        // that just excludes the users who succeed.
        let n_succeeding = n_distinct_near(loose, at, length, |tag| !failing(tag));
        if n_succeeding < users {
            return Some(first);
        }
        first_of_distinct(loose, at, n_succeeding + 1, length, failing)
    }

    fn severity(&self, _: &Burst, _: usize) -> Severity {
        Severity::Medium
    }

    fn worst(&self) -> Severity {
        Severity::Medium
    }

    fn n_kept(&self) -> usize {
        audit_detect::LOOSE_MAX
    }

    fn is_of_tags(&self) -> bool {
        true
    }
}

/// The tag of no user.
pub(crate) const NOBODY: u64 = 0;

/// A user and the result of the login: 31 bits of a hash and one for success. Enough to count users, and
/// short in a state.
pub(crate) fn tag(user: Option<&[u8]>, is_success: bool) -> u64 {
    let hash = user.map_or(NOBODY, |user| (stable_hash(user) & 0xffff_fffe).max(2));
    hash | u64::from(is_success)
}

/// Whether a sighting of [`Spraying`] is a login that succeeded.
pub(crate) fn is_success(sighting: &Sighting) -> bool {
    sighting.tag & 1 == 1
}

/// The number of different users.
pub(crate) fn n_users<'a>(sightings: impl Iterator<Item = &'a Sighting>) -> usize {
    let mut tags: Vec<u64> =
        sightings.map(|sighting| sighting.tag).filter(|tag| *tag != NOBODY).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.len()
}
