//! From an event to its record: when it arrives, whether twice, and with which time. Events that are
//! not to be moved pass straight through.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::choices::Disorder;
use crate::random::{Dice as _, Draws, Stream};
use crate::rules::{DAY, MINUTE, SECOND};

use super::deed::Sent;

/// Between an event and its record when nothing goes wrong.
const DELAY: i64 = 250_000;
const OUT_OF_ORDER_MAX: i64 = 30 * SECOND;
const LATE_MIN: i64 = MINUTE;
const LATE_MAX: i64 = 20 * MINUTE;
/// Less than detectors believe, so that no event is judged by another time than its own.
const AHEAD_MAX: i64 = 4 * MINUTE;
/// The second of two may come so long after the first.
const DOUBLE_MAX: i64 = 2 * MINUTE;

pub(crate) struct Delivery {
    draws: Draws,
    has: [bool; Disorder::ALL.len()],
    /// What has not arrived yet, by arrival; equal arrivals in the order in which they happened.
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_sent: u64,
}

struct Waiting {
    received: i64,
    n: u64,
    sent: Sent,
}

impl Delivery {
    pub(crate) fn new(seed: u64, disorder: &[Disorder]) -> Self {
        Self {
            draws: Draws::new(seed, Stream::Delivery),
            has: Disorder::ALL.map(|one| disorder.contains(&one)),
            waiting: BinaryHeap::with_capacity(1024),
            n_sent: 0,
        }
    }

    pub(crate) fn has(&self, disorder: Disorder) -> bool {
        self.has[disorder as usize]
    }

    /// Takes an event of the background, and says how many times it comes. Any disorder may befall it.
    pub(crate) fn send(&mut self, sent: Sent) -> u32 {
        let at = sent.deed.at;
        let mut received = at + self.delay();
        if self.has(Disorder::Late) && self.draws.below(100) == 0 {
            received = at + LATE_MIN + self.draws.micros(LATE_MAX - LATE_MIN);
        } else if self.has(Disorder::Future) && self.draws.below(100) == 0 {
            received = at - self.draws.micros(AHEAD_MAX);
        }
        let is_double =
            self.has(Disorder::Duplicates) && !sent.deed.failed && self.draws.below(50) == 0;
        if is_double {
            let again = received + self.draws.micros(DOUBLE_MAX);
            self.push(again, sent);
        }
        self.push(received, sent);
        1 + u32::from(is_double)
    }

    /// Takes an event of an attack or a near miss. It comes once; late if its rule looks at no order.
    pub(crate) fn send_attack(&mut self, sent: Sent, keeps_order: bool) {
        let at = sent.deed.at;
        let delay = if keeps_order { DELAY } else { self.delay() };
        let is_late = !keeps_order && self.has(Disorder::Late) && self.draws.below(10) == 0;
        let late = if is_late { self.draws.micros(LATE_MAX / 2) } else { 0 };
        self.push(at + delay + late, sent);
    }

    /// Takes an event whose time is a lie.
    pub(crate) fn send_forged(&mut self, mut sent: Sent, only_ahead: bool) {
        let received = sent.deed.at + DELAY;
        let off = DAY + self.draws.micros(1_000 * DAY);
        let is_ahead = only_ahead || self.draws.below(2) == 0;
        sent.deed.at += if is_ahead { off } else { -off };
        self.push(received, sent);
    }

    /// One background event in 1,000 has a twin with a forged time.
    pub(crate) fn wants_forged(&mut self) -> bool {
        self.has(Disorder::Forged) && self.draws.below(1_000) == 0
    }

    /// What arrives next, if nothing that happens at `now` or later can arrive before.
    pub(crate) fn receive(&mut self, now: i64) -> Option<(i64, Sent)> {
        let ahead = if self.has(Disorder::Future) { AHEAD_MAX } else { -DELAY };
        let Reverse(first) = self.waiting.peek()?;
        if first.received >= now - ahead {
            return None;
        }
        self.waiting.pop().map(|Reverse(first)| (first.received, first.sent))
    }

    fn delay(&mut self) -> i64 {
        if self.has(Disorder::OutOfOrder) {
            DELAY + self.draws.micros(OUT_OF_ORDER_MAX)
        } else {
            DELAY
        }
    }

    fn push(&mut self, received: i64, sent: Sent) {
        self.n_sent += 1;
        self.waiting.push(Reverse(Waiting { received, n: self.n_sent, sent }));
    }
}

impl Waiting {
    fn place(&self) -> (i64, u64) {
        (self.received, self.n)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}
