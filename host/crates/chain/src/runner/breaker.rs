//! A circuit breaker: keeps the rows that a plugin fails on from using up the time of the others.
//!
//! - *Closed*: the plugin gets whole batches, and rows that it fails on are searched for.
//! - *Open*: it gets small parts, each under a share of the time, and the source waits. A part is accepted if a row
//!   of it succeeds, or if a row succeeds that did so before: then the plugin works, and the rows that fail are to
//!   blame. Nobody else loses anything.
//! - *Given up*: no row at all has succeeded for the pause. Rows are handled as those that it failed on, without a
//!   call, until one of a sample succeeds.

use std::time::{Duration, Instant};

/// Rows of the first part after the breaker opened, ...
const PART_ROWS_FIRST: usize = 16;
/// ... and of a part at most: so many are judged one by one if one of them is bad.
const PART_ROWS_MAX: usize = 256;
/// How often rows that all failed are tried again, ...
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// ... and how many times at least before they are given up.
const RETRIES_MIN: u32 = 8;
/// Once rows were given up, some of each batch are tried if that takes no longer than this, ...
const SAMPLE_CHEAP: Duration = Duration::from_millis(100);
/// ... and otherwise so seldom that it takes one part in so many of the time.
const SAMPLE_SHARE: u32 = 10;

/// How the next rows are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    Open,
    GivenUp,
}

/// How rows changed the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    None,
    Opened,
    Closed,
    /// Rows wait from now on.
    Waits,
    GaveUp,
    /// Open again, after it had given up.
    Resumed,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    part_rows: usize,
    /// Whether the next part must have so many rows: fewer have shown nothing.
    is_widened: bool,
    is_waiting: bool,
    last_success: Instant,
    last_failure: Instant,
    /// The time that failed calls took lately: half of all time is subtracted from it.
    failing: Duration,
    failing_at: Instant,
    next_sample: Instant,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            state: State::Closed,
            part_rows: PART_ROWS_FIRST,
            is_widened: false,
            is_waiting: false,
            last_success: now,
            last_failure: now,
            failing: Duration::ZERO,
            failing_at: now,
            next_sample: now,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// Rows that the plugin may get at once.
    pub(crate) fn part_rows(&self) -> usize {
        if self.state == State::Open { self.part_rows } else { usize::MAX }
    }

    /// Rows that it must get at once, if it got too few to tell whether they are to blame or the plugin is.
    pub(crate) fn part_rows_min(&self) -> usize {
        if self.state == State::Open && self.is_widened { self.part_rows } else { 0 }
    }

    pub(crate) fn open(&mut self) -> Transition {
        let was = std::mem::replace(&mut self.state, State::Open);
        let now = Instant::now();
        (self.last_success, self.last_failure) = (now, now);
        (self.part_rows, self.is_widened) = (PART_ROWS_FIRST, false);
        self.is_waiting = false;
        if was == State::GivenUp { Transition::Resumed } else { Transition::Opened }
    }

    /// Adds the time that failed calls took in a whole batch. Whether they have taken more than half of the time for
    /// so long that `max` of it is lost: batches of which each has a few bad rows slow the stream down, too.
    pub(crate) fn wastes_time(&mut self, failed_for: Duration, max: Duration) -> bool {
        let now = Instant::now();
        let paid = now.saturating_duration_since(self.failing_at) / 2;
        self.failing = self.failing.saturating_sub(paid) + failed_for;
        self.failing_at = now;
        self.failing > max
    }

    /// Records a part that was accepted, while the breaker is open.
    pub(crate) fn accept(&mut self, n_failed: usize, pause: Duration) -> Transition {
        let now = Instant::now();
        (self.last_success, self.is_widened, self.is_waiting) = (now, false, false);
        if n_failed > 0 {
            self.last_failure = now;
            self.narrow();
            return Transition::None;
        }
        self.part_rows = self.part_rows.saturating_mul(2).min(PART_ROWS_MAX);
        if now.saturating_duration_since(self.last_failure) < pause {
            return Transition::None;
        }
        self.state = State::Closed;
        self.failing = Duration::ZERO;
        Transition::Closed
    }

    /// Records a part with too many rows that fail.
    pub(crate) fn narrow(&mut self) {
        (self.part_rows, self.is_widened) = ((self.part_rows / 2).clamp(1, PART_ROWS_MAX), false);
    }

    /// Records a part of which no row succeeded, and rows follow that may: more are judged together with these.
    pub(crate) fn widen(&mut self) {
        (self.part_rows, self.is_widened) = (self.part_rows.saturating_mul(2), true);
    }

    /// The same without rows that follow: how long to wait before they are tried again. Once nothing has succeeded for
    /// the pause, they are given up.
    pub(crate) fn wait_or_give_up(&mut self, pause: Duration) -> (Transition, Duration) {
        if self.last_success.elapsed() >= pause {
            self.state = State::GivenUp;
            self.next_sample = Instant::now();
            return (Transition::GaveUp, Duration::ZERO);
        }
        (self.part_rows, self.is_widened) = (PART_ROWS_FIRST, false);
        let wait = RETRY_WAIT.min(pause / RETRIES_MIN);
        let was_waiting = std::mem::replace(&mut self.is_waiting, true);
        (if was_waiting { Transition::None } else { Transition::Waits }, wait)
    }

    /// Whether rows may be tried although all were given up.
    pub(crate) fn may_sample(&self) -> bool {
        Instant::now() >= self.next_sample
    }

    /// Records that the sample failed, too.
    pub(crate) fn sample_failed(&mut self, took: Duration) {
        let is_cheap = took <= SAMPLE_CHEAP;
        let pause = if is_cheap { Duration::ZERO } else { took * (SAMPLE_SHARE - 1) };
        self.next_sample = Instant::now() + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn it_opens_judges_small_parts_and_closes_after_the_pause() {
        let mut breaker = Breaker::new();
        assert_eq!((breaker.state(), breaker.part_rows()), (State::Closed, usize::MAX));
        assert_eq!(breaker.open(), Transition::Opened);
        assert_eq!(breaker.part_rows(), PART_ROWS_FIRST);
        assert_eq!(breaker.accept(1, HOUR), Transition::None);
        assert_eq!(breaker.part_rows(), PART_ROWS_FIRST / 2);
        for _ in 0..10 {
            assert_eq!(breaker.accept(0, HOUR), Transition::None);
        }
        assert_eq!(breaker.part_rows(), PART_ROWS_MAX);
        for _ in 0..10 {
            breaker.accept(1, Duration::ZERO);
        }
        assert_eq!(breaker.part_rows(), 1);
        assert_eq!(breaker.accept(0, Duration::ZERO), Transition::Closed);
        assert_eq!((breaker.state(), breaker.part_rows()), (State::Closed, usize::MAX));
    }

    #[test]
    fn it_gives_up_only_when_nothing_succeeded_for_the_pause() {
        let mut breaker = Breaker::new();
        breaker.open();
        assert_eq!(breaker.part_rows_min(), 0);
        breaker.widen();
        assert_eq!(breaker.part_rows(), 2 * PART_ROWS_FIRST);
        assert_eq!(breaker.part_rows_min(), 2 * PART_ROWS_FIRST);
        assert_eq!(breaker.wait_or_give_up(HOUR), (Transition::Waits, RETRY_WAIT));
        assert_eq!(breaker.wait_or_give_up(HOUR), (Transition::None, RETRY_WAIT));
        assert_eq!((breaker.state(), breaker.part_rows()), (State::Open, PART_ROWS_FIRST));
        let gave_up = breaker.wait_or_give_up(Duration::ZERO);
        assert_eq!(gave_up, (Transition::GaveUp, Duration::ZERO));
        assert_eq!((breaker.state(), breaker.part_rows()), (State::GivenUp, usize::MAX));
        assert!(breaker.may_sample() && breaker.is_open());
        breaker.sample_failed(Duration::from_millis(1));
        assert!(breaker.may_sample());
        breaker.sample_failed(HOUR);
        assert!(!breaker.may_sample());
        assert_eq!(breaker.open(), Transition::Resumed);
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn failed_calls_may_take_half_of_the_time() {
        let mut breaker = Breaker::new();
        let (part, max) = (Duration::from_secs(2), Duration::from_secs(3));
        assert!(!breaker.wastes_time(part, max));
        assert!(breaker.wastes_time(part, max), "two in a moment");
        breaker.failing_at = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        assert!(!breaker.wastes_time(part, max), "one a minute");
    }
}
