//! The attack `failed-logins`: somebody tries passwords from one address. The rule it is for alerts
//! on more than [`FAILURES_ALLOWED`] failed logins from one address within the half-open span
//! [`WINDOW_US`].

use std::collections::VecDeque;

use super::campaign::{Campaign, Room};
use crate::event::USER_AGENTS;
use crate::label::{Expectation, Tracker, Trip};
use crate::random::{Dice as _, Draws};
use crate::rules::{FAILURES_ALLOWED, SPRAY_SPAN, SPRAY_USERS, WINDOW_US, names};

/// Background events per burst, and per near miss.
const SLOT: u64 = 5000;
const FAILURES_MAX: u32 = 40;
const SPAN_MIN_US: i64 = 30_000_000;
/// Below the window, so that a burst never needs two alerts.
const SPAN_MAX_US: i64 = 3_000_000_000;
/// The first burst is over within this many steps, so that a demo of 200 events shows an alert.
const EARLY_STEPS: i64 = 100;
/// 198.51.100.1 to .254, set aside for documentation, then 198.18.0.0/15, for benchmarks. No
/// address is used twice; when they run out, no more attacks start. That also bounds the labels.
const N_DOCUMENTATION: u32 = 254;
const N_ADDRESSES: u32 = N_DOCUMENTATION + (1 << 17);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    EarlyBurst,
    Burst,
    /// As many failures within an hour as the rule allows.
    FiveInAnHour,
    /// One more, but the last comes an hour after the first or later.
    SixBeyondAnHour,
}

pub(crate) struct Bursts {
    /// The background event before which each one starts, in order.
    planned: VecDeque<(u64, Shape)>,
    next_slot: u64,
    n_addresses_used: u32,
    first_address: u32,
}

impl Bursts {
    pub(crate) fn new(draws: &mut Draws) -> Self {
        Self {
            planned: VecDeque::new(),
            next_slot: 0,
            n_addresses_used: 0,
            first_address: draws.below(N_DOCUMENTATION),
        }
    }

    fn fill_slot(&mut self, draws: &mut Draws) {
        let slot = self.next_slot;
        let begin = slot * SLOT;
        let mut within = |low, high| begin + u64::from(draws.between(low, high));
        let mut planned = if slot == 0 {
            vec![
                (within(5, 24), Shape::EarlyBurst),
                (within(30, 59), Shape::FiveInAnHour),
                (within(30, 59), Shape::SixBeyondAnHour),
            ]
        } else {
            let near_miss =
                if slot.is_multiple_of(2) { Shape::FiveInAnHour } else { Shape::SixBeyondAnHour };
            let last = SLOT as u32 - 1;
            vec![(within(0, last), Shape::Burst), (within(0, last), near_miss)]
        };
        planned.sort_by_key(|(at, _)| *at);
        self.planned.extend(planned);
        self.next_slot += 1;
    }

    fn next_address(&mut self) -> Option<String> {
        let n = self.n_addresses_used;
        self.n_addresses_used = (n < N_ADDRESSES).then_some(n + 1)?;
        Some(match n.checked_sub(N_DOCUMENTATION) {
            None => format!("198.51.100.{}", (self.first_address + n) % N_DOCUMENTATION + 1),
            Some(n) => format!("198.{}.{}.{}", 18 + (n >> 16), (n >> 8) & 255, n & 255),
        })
    }

    /// The background event before which [`Bursts::plan`] wants to be called next.
    pub(super) fn wake(&self) -> u64 {
        let slot_begin = self.next_slot.saturating_mul(SLOT);
        self.planned.front().map_or(slot_begin, |(at, _)| *at)
    }

    /// What begins now. `None` if nothing does, or if the stream is too short for it.
    pub(super) fn plan(&mut self, room: &Room, draws: &mut Draws) -> Option<Campaign> {
        let Some((_, shape)) = self.planned.pop_front() else {
            self.fill_slot(draws);
            return None;
        };
        let times = times(shape, room, draws)?;
        let is_burst = matches!(shape, Shape::EarlyBurst | Shape::Burst);
        let ip = self.next_address()?;
        Some(Campaign {
            tracker: tracker(is_burst, &ip),
            ip,
            agent: draws.pick(&USER_AGENTS),
            targets: targets(room.n_users, draws),
            times,
        })
    }
}

/// A burst against many users is a spray as well, and so may a near miss be.
fn tracker(is_burst: bool, ip: &str) -> Tracker {
    let burst = Trip::Within(FAILURES_ALLOWED + 1, WINDOW_US);
    let spray = Trip::Users(SPRAY_USERS, SPRAY_SPAN);
    let mut expectations =
        vec![Expectation::alert(names::PASSWORD_SPRAY, "medium", spray).about(ip)];
    if is_burst {
        expectations.push(Expectation::alert(names::FAILED_LOGINS, "medium", burst).about(ip));
    }
    Tracker::new(names::FAILED_LOGINS, expectations)
}

/// One account under attack, or a handful.
fn targets(n_users: u32, draws: &mut Draws) -> Vec<u32> {
    let n_targets = draws.pick(&[1, 1, 2, 5, 8]);
    (0..n_targets).map(|_| draws.below(n_users)).collect()
}

/// When the failures of a shape happen, or `None` if they do not fit.
fn times(shape: Shape, room: &Room, draws: &mut Draws) -> Option<Vec<i64>> {
    let n_failures = match shape {
        Shape::FiveInAnHour => FAILURES_ALLOWED,
        Shape::SixBeyondAnHour => FAILURES_ALLOWED + 1,
        Shape::EarlyBurst | Shape::Burst => {
            // A short stream gets a small burst: an attack should not be most of it.
            let low = FAILURES_ALLOWED as u32 + 1;
            let high = u32::try_from(room.count / 5).unwrap_or(u32::MAX);
            draws.between(low, high.clamp(low, FAILURES_MAX)) as usize
        }
    };
    let first = room.now().saturating_add(draws.micros((room.timeline.step - 1).max(0)));
    let space = room.latest(n_failures)?.checked_sub(first).filter(|micros| *micros >= 0)?;
    let span = match shape {
        Shape::EarlyBurst => span(space.min(room.timeline.step.saturating_mul(EARLY_STEPS)), draws),
        Shape::Burst | Shape::FiveInAnHour => span(space, draws),
        // Half of them miss by nothing: exactly an hour is outside of a half-open window.
        Shape::SixBeyondAnHour => {
            let slack = space.checked_sub(WINDOW_US).filter(|micros| *micros >= 0)?;
            WINDOW_US + draws.pick(&[0, 1]) * draws.micros(slack.min(600_000_000))
        }
    };
    let mut times = vec![first, first + span];
    let between = span.min(WINDOW_US - 1);
    times.extend((2..n_failures).map(|_| first + draws.micros(between)));
    times.sort_unstable();
    Some(times)
}

/// How long a burst lasts, at most `space`. Short ones are as frequent as long ones: drawn from
/// doublings, as a uniform draw would make nearly all of them long, and in integers, as a logarithm
/// may differ between machines. A stream denser than its bursts are long gets shorter bursts.
fn span(space: i64, draws: &mut Draws) -> i64 {
    let longest = space.min(SPAN_MAX_US);
    if longest < SPAN_MIN_US {
        return longest - draws.micros(longest / 2);
    }
    let low = (SPAN_MIN_US << draws.below(7)).min(longest);
    low + draws.micros((2 * low).min(longest) - low)
}
