//! The time that this thread has computed: tells a guest that is slow from a machine that is busy.

use std::fs;
use std::time::Duration;

/// Its first number is the time on a processor in nanoseconds.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// What a thread had computed at a moment; `None` where the system does not say.
pub(crate) struct ThreadTime(Option<Duration>);

impl ThreadTime {
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string(SCHEDSTAT).ok();
        Self(text.and_then(|text| nanoseconds(&text)))
    }

    /// Whether the thread is known to have computed less than that since.
    pub(crate) fn was_idle(&self, time: Duration) -> bool {
        let now = Self::now().0;
        self.0.zip(now).is_some_and(|(before, now)| now.saturating_sub(before) < time)
    }
}

fn nanoseconds(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_first_number_is_the_time() {
        assert_eq!(nanoseconds("1500 7 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(nanoseconds(""), None);
        assert_eq!(nanoseconds("x 7 3"), None);
    }

    #[test]
    fn a_thread_that_computes_is_not_idle() {
        let before = ThreadTime::now();
        if before.0.is_none() {
            assert!(!before.was_idle(Duration::MAX), "what is not known is not claimed");
            return;
        }
        assert!(before.was_idle(Duration::from_hours(1)));
        let began = Instant::now();
        while ThreadTime::now().0.unwrap() < before.0.unwrap() + Duration::from_millis(20) {
            assert!(began.elapsed() < Duration::from_mins(1), "the thread's time stands still");
        }
        assert!(!before.was_idle(Duration::from_millis(20)));
    }
}
