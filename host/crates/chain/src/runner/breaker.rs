//! Keeps a plugin that fails on everything from taking all the time of the stream.

use std::time::{Duration, Instant};

/// Whether a plugin is asked.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Since when the plugin is not asked.
    opened: Option<Instant>,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Ask, and look for the rows that it fails on.
    Closed,
    /// Ask, and look for a short time only: the plugin may have come back.
    Probe,
    /// Do not ask.
    Open,
}

/// What a batch did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Stayed,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn way(&self, pause: Duration) -> Way {
        match self.opened {
            None => Way::Closed,
            Some(since) if since.elapsed() >= pause => Way::Probe,
            Some(_) => Way::Open,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Takes in how a batch went that the plugin was asked about.
    pub(crate) fn note(&mut self, tripped: bool) -> Turn {
        let was_open = self.opened.is_some();
        self.opened = tripped.then(Instant::now);
        match (was_open, tripped) {
            (false, true) => Turn::Opened,
            (true, false) => Turn::Closed,
            _ => Turn::Stayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_probes_and_closes() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.way(Duration::ZERO), Way::Closed);
        assert_eq!(breaker.note(false), Turn::Stayed);
        assert_eq!(breaker.note(true), Turn::Opened);
        assert_eq!(breaker.way(Duration::from_hours(1)), Way::Open);
        assert_eq!(breaker.way(Duration::ZERO), Way::Probe);
        assert_eq!(breaker.note(true), Turn::Stayed);
        assert_eq!(breaker.note(false), Turn::Closed);
        assert_eq!(breaker.way(Duration::ZERO), Way::Closed);
    }
}
