//! A circuit breaker: keeps a plugin that fails on everything from using up the time of the stream.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Since when the breaker is open.
    opened: Option<Instant>,
}

/// How the next batch is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The plugin is called, and poison rows are searched for.
    Closed,
    /// The plugin is called to see whether it has recovered; the search takes less time.
    HalfOpen,
    /// The plugin is not called.
    Open,
}

/// How a batch changed the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn state(&self, pause: Duration) -> State {
        match self.opened {
            None => State::Closed,
            Some(since) if since.elapsed() >= pause => State::HalfOpen,
            Some(_) => State::Open,
        }
    }

    /// Whether the breaker is open or half open.
    pub(crate) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Records the outcome of a batch for which the plugin was called.
    pub(crate) fn record(&mut self, tripped: bool) -> Transition {
        let was_open = self.opened.is_some();
        self.opened = tripped.then(Instant::now);
        match (was_open, tripped) {
            (false, true) => Transition::Opened,
            (true, false) => Transition::Closed,
            _ => Transition::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_goes_half_open_and_closes() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.state(Duration::ZERO), State::Closed);
        assert_eq!(breaker.record(false), Transition::None);
        assert_eq!(breaker.record(true), Transition::Opened);
        assert_eq!(breaker.state(Duration::from_hours(1)), State::Open);
        assert_eq!(breaker.state(Duration::ZERO), State::HalfOpen);
        assert_eq!(breaker.record(true), Transition::None);
        assert_eq!(breaker.record(false), Transition::Closed);
        assert_eq!(breaker.state(Duration::ZERO), State::Closed);
    }
}
