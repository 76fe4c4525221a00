//! Starts the reload loop again after a panic, and beside one that hangs.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often it looks at the loop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The pause before the loop is started again: it may panic at once.
const PAUSE: Duration = Duration::from_secs(1);

/// What a loop says of itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of the loop that is in charge.
    turn: AtomicU64,
    busy_since: Mutex<Option<Instant>>,
}

/// A loop's claim to be the one in charge.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pulse: Pulse,
    number: u64,
}

impl Turn {
    /// Whether no other loop has taken over.
    pub(super) fn is_current(&self) -> bool {
        self.pulse.0.turn.load(Ordering::Relaxed) == self.number
    }

    /// From here on it must end, or be idle, in time.
    pub(super) fn busy(&self) {
        self.set(Some(Instant::now()));
    }

    /// It waits for something that may take any time.
    pub(super) fn idle(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        if self.is_current() {
            *self.pulse.0.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        }
    }
}

/// How a loop failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Panicked(String),
    Hangs(Duration),
}

impl Pulse {
    /// Of the next loop: any other is no longer in charge.
    pub(super) fn next_turn(&self) -> Turn {
        let number = self.0.turn.fetch_add(1, Ordering::Relaxed) + 1;
        *self.0.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Turn { pulse: self.clone(), number }
    }

    fn busy_for(&self) -> Duration {
        let since = *self.0.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Until a loop ends by itself. `failed` is called before the next one is started.
pub(super) fn supervise(
    pulse: &Pulse,
    hangs_after: Duration,
    mut start: impl FnMut(Turn) -> io::Result<JoinHandle<()>>,
    mut failed: impl FnMut(Failure),
) {
    loop {
        let started = start(pulse.next_turn());
        let failure = match started {
            Err(error) => Failure::Panicked(format!("no thread for it: {error}")),
            Ok(running) => match watch(pulse, hangs_after, running) {
                None => return,
                Some(failure) => failure,
            },
        };
        failed(failure);
        thread::sleep(PAUSE);
    }
}

/// How a loop failed; `None` if it ended.
fn watch(pulse: &Pulse, hangs_after: Duration, running: JoinHandle<()>) -> Option<Failure> {
    while !running.is_finished() {
        let busy_for = pulse.busy_for();
        if busy_for > hangs_after {
            return Some(Failure::Hangs(busy_for));
        }
        thread::sleep(LOOK_EVERY);
    }
    let panicked = running.join().err()?;
    let text = panicked.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panicked.downcast_ref::<String>().cloned());
    Some(Failure::Panicked(text.unwrap_or_else(|| "without a message".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_panics_or_hangs_is_followed_by_another() {
        let (pulse, mut failures, mut n) = (Pulse::default(), Vec::new(), 0);
        let start = |turn: Turn| {
            n += 1;
            let nth = n;
            thread::Builder::new().spawn(move || match nth {
                1 => panic!("as the test asks"),
                2 => {
                    turn.busy();
                    // It hangs until another is in charge, and then has nothing to say.
                    while turn.is_current() {
                        thread::yield_now();
                    }
                    turn.busy();
                }
                _ => {
                    turn.busy();
                    turn.idle();
                }
            })
        };
        supervise(&pulse, Duration::from_millis(1), start, |failure| failures.push(failure));
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert_eq!(failures[0], Failure::Panicked("as the test asks".to_owned()));
        assert!(matches!(failures[1], Failure::Hangs(_)));
        assert_eq!(pulse.busy_for(), Duration::ZERO);
    }
}
