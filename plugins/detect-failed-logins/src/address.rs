//! What is remembered of one address: the failures that no alert covers yet, and the windows that
//! were alerted.
//!
//! The windows of an address hold each failure at most once: a failure inside an alerted window
//! belongs to it and counts for no other. One that comes late and lies less than a window before it
//! (another partition was read later) belongs to the same burst and raises nothing more, or one burst
//! would give two alerts. So every span that holds too many failures either raises an alert or touches
//! the window of one, and a steady attack gives one alert a window.

use std::collections::BTreeSet;

use crate::config::{FAILURES_PER_ADDRESS_MAX, Settings};

/// The longest text that is still an address: 45 for IPv6, and room for a hashed or tokenised one.
pub(crate) const KEY_BYTES_MAX: usize = 128;

/// The most windows that are remembered of one address. An address gets more than three or four only
/// by events dated back over a long time.
pub(crate) const WINDOWS_MAX: usize = 64;

/// Memory of a failure, with the slack of a vector that grows by half.
const FAILURE_BYTES: usize = size_of::<Failure>() * 3 / 2;
const WINDOW_BYTES: usize = size_of::<Window>() + 16;
/// Memory of an address besides: its text, and its places in the two maps of the state.
const ADDRESS_BYTES: usize = 256;

/// One failed login. The order is by time, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Failure {
    /// Event time, cut to what is plausible.
    pub(crate) time: i64,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Kafka time.
    pub(crate) received: i64,
    /// Hash of the user, 0 for none.
    pub(crate) user: u32,
}

/// How far the host knows of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    No,
    /// An alert that was not urgent.
    Medium,
    /// An urgent alert: there is no more to say.
    High,
}

/// A span that held too many failures: from `start` for the length of the configured window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: i64,
    /// All failures in the window, of which `failures` may keep fewer.
    pub(crate) n_failures: u64,
    pub(crate) last: i64,
    /// The newest Kafka time of a failure in the window.
    pub(crate) received: i64,
    pub(crate) is_high: bool,
    pub(crate) told: Told,
    /// Sorted. Empty once the urgent alert is out.
    pub(crate) failures: Vec<Failure>,
}

impl Window {
    /// The number of different users among the failures that are kept.
    pub(crate) fn n_users(&self) -> usize {
        let users: BTreeSet<u32> = self.failures.iter().map(|failure| failure.user).collect();
        users.len() - usize::from(users.contains(&0))
    }

    fn covers(&self, time: i64, settings: &Settings) -> bool {
        time >= self.start && time.saturating_sub(self.start) < settings.window_micros
    }

    fn follows(&self, time: i64, settings: &Settings) -> bool {
        time < self.start && self.start.saturating_sub(time) < settings.window_micros
    }

    fn add(&mut self, failure: Failure, settings: &Settings) {
        self.n_failures += 1;
        self.last = self.last.max(failure.time);
        self.received = self.received.max(failure.received);
        if self.told == Told::High {
            return;
        }
        let at = insert(&mut self.failures, failure);
        self.is_high = self.is_high
            || first_span(&self.failures, at, settings.high_count, settings.high_window_micros)
                .is_some();
        if self.failures.len() > FAILURES_PER_ADDRESS_MAX {
            self.failures.remove(0);
        }
    }
}

/// What is remembered of one address.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Sorted.
    pub(crate) loose: Vec<Failure>,
    /// In the order in which they were opened.
    pub(crate) windows: Vec<Window>,
}

impl Address {
    /// Counts a failure. Gives whether there is something to tell the host.
    pub(crate) fn add(&mut self, failure: Failure, settings: &Settings) -> bool {
        if let Some(window) =
            self.windows.iter_mut().find(|window| window.covers(failure.time, settings))
        {
            window.add(failure, settings);
            return window.is_untold();
        }
        if self.windows.iter().any(|window| window.follows(failure.time, settings)) {
            return false;
        }
        let at = insert(&mut self.loose, failure);
        if let Some(first) =
            first_span(&self.loose, at, settings.threshold + 1, settings.window_micros)
        {
            self.open(first, settings);
            return true;
        }
        if self.loose.len() > FAILURES_PER_ADDRESS_MAX {
            self.drop_longest_here();
        }
        false
    }

    /// About how much memory it takes. Made of lengths and not of capacities, as those are others
    /// after a restart, and what is forgotten must not depend on that.
    pub(crate) fn n_bytes(&self) -> usize {
        let windows =
            self.windows.iter().map(|window| window.failures.len() * FAILURE_BYTES + WINDOW_BYTES);
        ADDRESS_BYTES + self.loose.len() * FAILURE_BYTES + windows.sum::<usize>()
    }

    /// Forgets what was received before a time.
    pub(crate) fn forget_before(&mut self, time: i64) {
        self.loose.retain(|failure| failure.received >= time);
        self.windows.retain(|window| window.received >= time);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.windows.is_empty()
    }

    /// Opens the window that starts at a loose failure and moves the failures in it there.
    fn open(&mut self, first: usize, settings: &Settings) {
        let start = self.loose[first].time;
        let mut window = Window {
            start,
            n_failures: 0,
            last: start,
            received: i64::MIN,
            is_high: false,
            told: Told::No,
            failures: Vec::new(),
        };
        let inside = |failure: &Failure| {
            failure.time >= start && failure.time.saturating_sub(start) < settings.window_micros
        };
        for failure in self.loose.iter().filter(|failure| inside(failure)) {
            window.add(*failure, settings);
        }
        self.loose.retain(|failure| !inside(failure));
        self.loose.shrink_to_fit();
        self.windows.reserve_exact(1);
        self.windows.push(window);
        if self.windows.len() > WINDOWS_MAX {
            self.windows.remove(0);
        }
    }

    fn drop_longest_here(&mut self) {
        let longest = self.loose.iter().enumerate().min_by_key(|(_, failure)| failure.received);
        if let Some((at, _)) = longest {
            self.loose.remove(at);
        }
    }
}

impl Window {
    /// Whether the host does not know yet how bad it is.
    pub(crate) fn is_untold(&self) -> bool {
        self.told == Told::No || (self.is_high && self.told == Told::Medium)
    }
}

/// The text that stands for an address: itself, cut at a character where it is too long to be one.
pub(crate) fn key(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(KEY_BYTES_MAX);
    while end < text.len() && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Inserts in order and gives the place.
fn insert(failures: &mut Vec<Failure>, failure: Failure) -> usize {
    let at = failures.partition_point(|other| *other <= failure);
    // Most addresses have one or two failures: doubling from four would waste most of the memory.
    if failures.len() == failures.capacity() {
        failures.reserve_exact(1 + failures.len() / 2);
    }
    failures.insert(at, failure);
    at
}

/// The first of `count` failures that include the one at `at` and lie within a half-open span of
/// `length`. Spans without it were looked at when their own last failure came.
fn first_span(failures: &[Failure], at: usize, count: usize, length: i64) -> Option<usize> {
    let earliest = (at + 1).saturating_sub(count);
    (earliest..=at).find(|&first| {
        let last = failures.get(first + count - 1);
        last.is_some_and(|last| last.time.saturating_sub(failures[first].time) < length)
    })
}
