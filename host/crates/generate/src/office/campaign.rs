//! Attacks and near misses: their events, and what a plan may use.

use crate::choices::{Attack, Intensity};
use crate::event::{Action, LOGIN};
use crate::label::{Expectation, Tracker};
use crate::random::{Dice as _, Draws};
use crate::rules::{HOUR, MINUTE};

use super::calendar::{local_day, next_workday, opening};
use super::deed::Deed;
use super::ledger::Ledger;
use super::people::{People, Profile};
use super::routine::Person;

/// An attacker has an account to itself from so long before its first event until so long after its
/// last: longer than any window but those of a day, so that no rule mixes it up with the user.
pub(crate) const ALONE: i64 = 80 * MINUTE;
/// From the plan to the first event, at least.
const LEAD: i64 = ALONE + MINUTE;
/// Users tried before a plan is put off.
const TRIES: u32 = 30;

/// Events that belong together.
pub(crate) struct Campaign {
    pub(crate) tracker: Tracker,
    /// Whether the rule looks at the order in which its events arrive.
    pub(crate) keeps_order: bool,
    /// In order of time.
    pub(crate) steps: Vec<Step>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) deed: Deed,
    /// Addresses that a rule takes for one have one number.
    pub(crate) place: u32,
    /// Whether its time is to be forged.
    pub(crate) is_forged: bool,
}

impl Campaign {
    pub(crate) fn new(
        attack: Attack,
        mut steps: Vec<Step>,
        expectations: Vec<Expectation>,
    ) -> Option<Self> {
        steps.sort_by_key(|step| step.deed.at);
        let tracker = Tracker::new(attack.name(), expectations);
        (!steps.is_empty()).then_some(Self { tracker, keeps_order: false, steps })
    }

    pub(crate) fn keeping_order(self) -> Self {
        Self { keeps_order: true, ..self }
    }
}

/// What a plan may use.
pub(crate) struct Plan<'a> {
    pub(crate) now: i64,
    pub(crate) intensity: Intensity,
    pub(crate) may_forge: bool,
    pub(crate) people: &'a mut People,
    pub(crate) persons: &'a mut [Person],
    pub(crate) accounts: &'a mut Accounts,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) draws: &'a mut Draws,
}

impl Plan<'_> {
    /// The time of a first event.
    pub(crate) fn soon(&mut self) -> i64 {
        self.now + LEAD + self.draws.micros(30 * MINUTE)
    }

    /// A time from now on from which the office is open for so long.
    pub(crate) fn in_office_hours(&mut self, span: i64) -> i64 {
        let soon = self.soon();
        let (opens, closes) = opening(next_workday(local_day(soon)));
        if soon >= opens && soon + span < closes {
            return soon;
        }
        let (opens, closes) =
            if soon < opens { (opens, closes) } else { opening(next_workday(local_day(soon) + 1)) };
        opens + self.draws.micros(closes - opens - span - 1)
    }

    /// A number above a threshold, or just that.
    pub(crate) fn above(&mut self, threshold: u32) -> u32 {
        let (low, high) = match self.intensity {
            Intensity::Low => (threshold, threshold),
            Intensity::Medium => (threshold, 3 * threshold),
            Intensity::High => (3 * threshold, 10 * threshold),
        };
        self.draws.between(low, high)
    }

    /// The span of an attack: a usual one, or at the threshold half of the time the longest that is
    /// within a window.
    pub(crate) fn span(&mut self, usual: i64, window: i64) -> i64 {
        match self.intensity {
            Intensity::Low if self.draws.below(2) == 0 => window - 1,
            _ => usual,
        }
    }

    /// Somebody who works by day and whom nobody attacks in `from..until` and before.
    pub(crate) fn victim(
        &mut self,
        from: i64,
        until: i64,
        fits: impl Fn(&Profile) -> bool,
    ) -> Option<u32> {
        let n = self.people.profiles.len() as u32;
        self.victim_among(n, from, until, |_, _, profile| fits(profile))
    }

    /// The same among the first `n` people.
    pub(crate) fn victim_among(
        &mut self,
        n: u32,
        from: i64,
        until: i64,
        fits: impl Fn(&Ledger, u32, &Profile) -> bool,
    ) -> Option<u32> {
        for _ in 0..TRIES {
            let user = self.draws.below(n);
            let fits = fits(self.ledger, user, &self.people.profiles[user as usize]);
            if fits && self.claim(user, from, until) {
                return Some(user);
            }
        }
        None
    }

    /// Takes somebody's account, if it may be had in `from..until`.
    pub(crate) fn claim(&mut self, user: u32, from: i64, until: i64) -> bool {
        let profile = &self.people.profiles[user as usize];
        let person = &mut self.persons[user as usize];
        let is_free = profile.works_by_day() && person.is_free(self.now, from - ALONE);
        if is_free {
            person.pause(from - ALONE, until + ALONE);
        }
        is_free
    }

    /// A login from somewhere, which the caller makes into what it wants.
    pub(crate) fn step(&mut self, user: u32, address: u32, at: i64) -> Step {
        let deed = Deed {
            at,
            user,
            action: LOGIN,
            failed: false,
            address,
            agent: self.draws.below(4) as u8,
            rows: 0,
            grantee: user,
            session: self.draws.next_u64(),
            nonce: self.draws.next_u64(),
        };
        Step { deed, place: address, is_forged: false }
    }

    /// What a user seems to do from the desk.
    pub(crate) fn step_at_desk(&mut self, user: u32, action: Action, at: i64) -> Step {
        let profile = &self.people.profiles[user as usize];
        let (address, agent) = (profile.desk.first, profile.agent);
        let mut step = self.step(user, address, at);
        step.deed.action = action;
        step.deed.agent = agent;
        step
    }

    /// So many times from `first` on, the last after `span`; one is `first`.
    pub(crate) fn times(&mut self, n: u32, first: i64, span: i64) -> Vec<i64> {
        let mut times = vec![first];
        times.extend((n > 1).then_some(first + span));
        times.extend((2..n).map(|_| first + self.draws.micros(span)));
        times.sort_unstable();
        times
    }
}

/// `user_id` of a user by number.
pub(crate) fn user_id(user: u32) -> String {
    format!("user_{:03}", user + 1)
}

/// Accounts that attacks on logins go for; nobody else uses them.
pub(crate) struct Accounts {
    first: u32,
    /// Until when each is taken.
    taken: Vec<i64>,
    next: usize,
}

impl Accounts {
    pub(crate) fn new(first: usize, n: usize) -> Self {
        Self { first: first as u32, taken: vec![i64::MIN; n], next: 0 }
    }

    /// So many different accounts, if there are, that nobody else tries until an hour and more later.
    pub(crate) fn take(&mut self, n: u32, from: i64, until: i64) -> Option<Vec<u32>> {
        let len = self.taken.len();
        let ring = (self.next..self.next + len).map(|idx| idx % len);
        let free = ring.filter(|idx| self.taken[*idx] < from).take(n as usize);
        let free: Vec<_> = free.collect();
        if free.len() < n as usize {
            return None;
        }
        for idx in &free {
            self.taken[*idx] = until + ALONE;
        }
        self.next = free.last().map_or(self.next, |last| last + 1);
        Some(free.into_iter().map(|idx| self.first + idx as u32).collect())
    }
}

/// The first full hour of the clock in a span of time, if it has one.
pub(crate) fn full_hour(from: i64, until: i64) -> Option<i64> {
    let begins = from.div_euclid(HOUR) * HOUR + if from.rem_euclid(HOUR) == 0 { 0 } else { HOUR };
    (begins + HOUR <= until).then_some(begins)
}
