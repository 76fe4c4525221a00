//! The hourly counts of reads and queries, and what the rule for unusual volume considers usual: attacks go just
//! above a user's own limit, and near misses just up to it.
//!
//! The formula is that of `docs/plugins/detect_unusual_volume.md`, in integers. The detector uses floating point,
//! with the same result: no score of such small counts is an integer, so rounding never decides.

use std::collections::VecDeque;

use crate::event::{Action, QUERY, READ};
use crate::rules::{HOUR, VOLUME_BELIEVED, VOLUME_FLOOR};

const DAY_HOURS: i64 = 24;
/// Days that an hour is compared with.
const HISTORY_DAYS: i64 = 21;
/// Days after which somebody is judged by history alone.
const HISTORY_MIN_DAYS: i64 = 14;
/// History takes hours with fewer events for empty ones.
const KEPT_MIN: u32 = VOLUME_FLOOR / 8;
/// Hours from a plan to the hour that it is for: whatever that one is compared with is over by then, as
/// the day before ends twelve hours before it.
const FORESEEN: i64 = 11;
/// People whose hours are written down, about 6 KB each: the first ones, as victims are few.
const PEOPLE_MAX: usize = 2_000;
/// Busy hours that are remembered.
const BUSY_MAX: usize = 64;
const ACTIONS: [Action; 2] = [READ, QUERY];

/// The hours of the first people.
pub(crate) struct Ledger {
    habits: Vec<[Habit; ACTIONS.len()]>,
    /// Hours of attacks and near misses above the floor, the latest last. Beside them limits are higher
    /// than for anybody who only works.
    busy: VecDeque<Busy>,
}

/// An hour of more events than people have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy {
    pub(crate) user: u32,
    pub(crate) action: Action,
    /// When it begins.
    pub(crate) at: i64,
}

/// What somebody's hour may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usual {
    /// The greatest count that is not unusual.
    pub(crate) limit: u32,
    /// Whether it follows from history alone.
    pub(crate) is_known: bool,
}

/// The hours of one user and action.
#[derive(Debug, Default, Clone)]
struct Habit {
    /// The hour of the first event.
    since: i64,
    /// In order of time, those with events alone.
    hours: VecDeque<Hour>,
    /// An hour of an attack to come, and what history will hold of it.
    planned: Option<(i64, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Hour {
    /// Counted from 1970.
    hour: i32,
    count: u32,
    /// History holds no more.
    cap: u32,
}

impl Ledger {
    pub(crate) fn new(n_people: usize) -> Self {
        let habits = vec![Default::default(); n_people.min(PEOPLE_MAX)];
        Self { habits, busy: VecDeque::new() }
    }

    /// Of whom it knows.
    pub(crate) fn n_people(&self) -> usize {
        self.habits.len()
    }

    /// Counts an event that comes `n_times`. Times must not go back.
    pub(crate) fn count(&mut self, user: u32, action: Action, at: i64, n_times: u32) {
        let Some(idx) = ACTIONS.iter().position(|known| *known == action) else { return };
        if let Some(habits) = self.habits.get_mut(user as usize) {
            habits[idx].count(at.div_euclid(HOUR), n_times);
        }
    }

    /// What is usual in the hour that begins at a time. `None` if it is not known yet, or for
    /// nobody who is written down.
    pub(crate) fn usual(&self, user: u32, action: Action, at: i64, now: i64) -> Option<Usual> {
        let idx = ACTIONS.iter().position(|known| *known == action)?;
        let habit = &self.habits.get(user as usize)?[idx];
        let hour = at.div_euclid(HOUR);
        if habit.hours.is_empty() || at - now > FORESEEN * HOUR {
            return None;
        }
        // In disorder the first event to arrive may be of the next hour.
        let usual = habit.usual(hour, habit.since);
        (usual == habit.usual(hour, habit.since + 1)).then_some(usual)
    }

    /// Announces the events of an hour. An unusual count is capped at the usual one when it becomes history.
    pub(crate) fn plan(&mut self, busy: Busy, usual: Usual, n: u32) {
        let Some(idx) = ACTIONS.iter().position(|known| *known == busy.action) else { return };
        let Some(habits) = self.habits.get_mut(busy.user as usize) else { return };
        if usual.is_known && n > usual.limit {
            habits[idx].planned = Some((busy.at.div_euclid(HOUR), usual.limit));
        }
        if n >= VOLUME_FLOOR {
            self.busy.push_back(busy);
        }
        if self.busy.len() > BUSY_MAX {
            self.busy.pop_front();
        }
    }

    /// The busy hours that were planned last, of three weeks or less.
    pub(crate) fn busy(&self, now: i64) -> impl Iterator<Item = Busy> {
        let since = now - HISTORY_DAYS * DAY_HOURS * HOUR;
        self.busy.iter().copied().filter(move |busy| busy.at > since)
    }
}

impl Habit {
    fn count(&mut self, hour: i64, n_times: u32) {
        match self.hours.back_mut() {
            Some(last) if i64::from(last.hour) == hour => {
                last.count += n_times;
                return;
            }
            Some(_) => {}
            None => self.since = hour,
        }
        let oldest = hour - (HISTORY_DAYS + 1) * DAY_HOURS;
        while self.hours.front().is_some_and(|first| i64::from(first.hour) < oldest) {
            self.hours.pop_front();
        }
        let planned = self.planned.filter(|(planned, _)| *planned == hour);
        let cap = planned.map_or(u32::MAX, |(_, cap)| cap);
        self.hours.push_back(Hour { hour: hour as i32, count: n_times, cap });
    }

    fn usual(&self, hour: i64, since: i64) -> Usual {
        let is_known = hour - since >= HISTORY_MIN_DAYS * DAY_HOURS;
        let limit = limit(self.comparable(hour, since));
        Usual { limit: if is_known { limit } else { limit.max(VOLUME_BELIEVED) }, is_known }
    }

    /// The counts of the same hour, the one before and the one after on each day of history.
    fn comparable(&self, hour: i64, since: i64) -> Vec<u32> {
        let n_known = ((hour - since) / DAY_HOURS).clamp(0, HISTORY_DAYS);
        let mut counts = Vec::new();
        let mut active_days = 0_u32;
        for past in self.hours.iter().filter(|past| past.count >= KEPT_MIN) {
            let age = hour - i64::from(past.hour);
            let days = (age + DAY_HOURS / 2).div_euclid(DAY_HOURS);
            if !(1..=n_known).contains(&days) {
                continue;
            }
            active_days |= 1 << days;
            if (age - days * DAY_HOURS).abs() <= 1 {
                counts.push(kept(past.count.min(past.cap)));
            }
        }
        let n_days = i64::from(active_days.count_ones()).max(n_known.min(HISTORY_MIN_DAYS));
        counts.resize(counts.len().max(3 * n_days as usize), 0);
        counts
    }
}

/// The greatest count that is not unusual beside these.
fn limit(counts: Vec<u32>) -> u32 {
    let n = counts.len() as u64;
    if n == 0 {
        return VOLUME_FLOOR - 1;
    }
    // Twice the median, and twice the deviations from it, are whole numbers.
    let mut values: Vec<u64> = counts.into_iter().map(u64::from).collect();
    let median = doubled_median(&mut values);
    let mut deviations: Vec<_> = values.iter().map(|value| (2 * value).abs_diff(median)).collect();
    let total: u64 = deviations.iter().sum();
    let deviation = doubled_median(&mut deviations);
    // 3.5 / 0.6745 times the median deviation, and 3.5 * 1.253314 times the mean one.
    let by_median = (2 * 6_745 * median + 35_000 * deviation) / (4 * 6_745);
    let by_mean = (n * 1_000_000 * median + 4_386_599 * total) / (2 * n * 1_000_000);
    let by_score = if total == 0 { median / 2 + u64::from(VOLUME_FLOOR) - 1 } else { by_median };
    let by_ratio = 5 * median / 4;
    let limit = by_score.max(by_mean).max(by_ratio) as u32;
    limit.max(VOLUME_FLOOR - 1)
}

fn doubled_median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2] + values[(values.len() - 1) / 2]
}

/// A count as history holds it: to five bits, the nearest.
fn kept(count: u32) -> u32 {
    let shift = count.max(16).ilog2() - 4;
    let half = (1 << shift) >> 1;
    ((count + half) >> shift) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * HOUR;

    /// Ten o'clock on every day from 0 on, with these counts.
    fn mornings(counts: &[u32]) -> Ledger {
        let mut ledger = Ledger::new(1);
        for (day, count) in (0..).zip(counts) {
            ledger.count(0, READ, day * DAY + 10 * HOUR, *count);
        }
        ledger
    }

    fn limit_on(day: i64, ledger: &Ledger) -> Option<(u32, bool)> {
        let at = day * DAY + 10 * HOUR;
        let usual = ledger.usual(0, READ, at, at - HOUR)?;
        Some((usual.limit, usual.is_known))
    }

    #[test]
    fn the_first_weeks_are_believed_up_to_a_fixed_limit() {
        let ledger = mornings(&[10; 20]);
        assert_eq!(limit_on(1, &ledger), Some((200, false)));
        assert_eq!(limit_on(13, &ledger), Some((200, false)));
        assert_eq!(limit_on(14, &ledger), None, "known for two weeks, or for an hour less");
        assert_eq!(limit_on(15, &ledger), Some((29, true)));
    }

    #[test]
    fn a_limit_follows_from_median_and_spread() {
        assert_eq!(limit(vec![]), 29);
        assert_eq!(limit(vec![0; 42]), 29);
        assert_eq!(limit(vec![7; 42]), 36);
        assert_eq!(limit(vec![100; 42]), 250);
        // Median 40, deviations 0, 10 and 10: 40 + 3.5 * 10 / 0.6745 is 91.9, by the ratio 100.
        assert_eq!(limit(vec![30, 40, 50]), 100);
        // Median 20, median deviation 20: 20 + 3.5 * 20 / 0.6745 is 123.8.
        assert_eq!(limit(vec![0, 20, 40]), 123);
        // Median 10, deviations 0, 1, 1, 2, 4, as 1.6 * 1.253314 * 3.5 is 7.02: below the floor.
        assert_eq!(limit(vec![10, 11, 9, 12, 6]), 29);
        // Median 0, mean deviation 20: 20 * 1.253314 * 3.5 is 87.7.
        assert_eq!(limit(vec![0, 0, 60]), 87);
    }

    #[test]
    fn history_holds_an_attack_cut_to_the_limit() {
        let mut ledger = mornings(&[10; 20]);
        let hour = 20 * DAY + 12 * HOUR;
        let usual = ledger.usual(0, READ, hour, hour - HOUR).unwrap();
        let busy = Busy { user: 0, action: READ, at: hour };
        ledger.plan(busy, usual, 400);
        assert_eq!(ledger.busy(hour).collect::<Vec<_>>(), [busy]);
        ledger.count(0, READ, hour, 400);
        let cut = ledger.habits[0][0].hours.back().unwrap();
        assert_eq!((cut.count, cut.cap), (400, usual.limit));
    }

    #[test]
    fn counts_are_kept_to_five_bits() {
        let kept_of = [0, 3, 31, 32, 33, 63, 100, 201, 205, 400].map(kept);
        assert_eq!(kept_of, [0, 3, 31, 32, 34, 64, 100, 200, 208, 400]);
    }

    #[test]
    fn what_is_not_over_yet_is_not_foreseen() {
        let ledger = mornings(&[10; 20]);
        let at = 20 * DAY + 12 * HOUR;
        assert!(ledger.usual(0, READ, at, at - 11 * HOUR).is_some());
        assert_eq!(ledger.usual(0, READ, at, at - 12 * HOUR), None);
        assert_eq!(ledger.usual(0, QUERY, at, at), None);
        assert_eq!(ledger.usual(1, READ, at, at), None);
    }
}
