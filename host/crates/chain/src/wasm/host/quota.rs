//! How much a plugin may log: some lines at once, and then a few each second, for all of its instances together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that it may log at once.
const LINES_AT_ONCE: u32 = 100;
/// A further line is allowed after this time. A line has at most 1 KiB: 10 KiB a second.
const PER_LINE: Duration = Duration::from_millis(100);
/// How often it is said that lines were suppressed.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The quota of a plugin. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogQuota(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    /// When the lines logged so far will have been paid for, at a line each [`PER_LINE`].
    paid_at: Option<Instant>,
    suppressed: Suppressed,
    reported_at: Option<Instant>,
}

/// Lines that were not logged since the last report.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suppressed {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl LogQuota {
    /// Whether a line of so many bytes may be logged now.
    pub(crate) fn allows(&self, bytes: usize, now: Instant) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_at = spent.paid_at.map_or(now, |at| at.max(now));
        if paid_at.saturating_duration_since(now) >= PER_LINE * LINES_AT_ONCE {
            spent.suppressed.lines += 1;
            spent.suppressed.bytes += bytes as u64;
            return false;
        }
        spent.paid_at = Some(paid_at + PER_LINE);
        true
    }

    /// What was suppressed, once it is time to say so.
    pub(crate) fn take_report(&self, now: Instant) -> Option<Suppressed> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due =
            spent.reported_at.is_none_or(|at| now.saturating_duration_since(at) >= REPORT_EVERY);
        if spent.suppressed.lines == 0 || !is_due {
            return None;
        }
        spent.reported_at = Some(now);
        Some(std::mem::take(&mut spent.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_few_lines_each_second() {
        let (quota, start) = (LogQuota::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        let n_allowed = |n: usize, now| (0..n).filter(|_| quota.allows(10, now)).count();
        assert_eq!(n_allowed(150, at(0)), 100);
        assert_eq!(n_allowed(50, at(1000)), 10);
        // Every instance of the plugin has the same quota.
        assert!(!quota.clone().allows(10, at(1000)));
        assert_eq!(quota.take_report(at(1000)), Some(Suppressed { lines: 91, bytes: 910 }));
        assert_eq!(n_allowed(1, at(1000)), 0);
        assert_eq!(quota.take_report(at(10_900)), None, "too soon");
        assert_eq!(quota.take_report(at(11_000)), Some(Suppressed { lines: 1, bytes: 10 }));
        assert_eq!(quota.take_report(at(99_000)), None, "nothing to report");
        assert_eq!(n_allowed(150, at(99_000)), 100);
    }
}
