//! The state of one user and action: the hours that still accept events, and the history before them.

use audit_detect::{Event, Remembered};
use audit_plugin_sdk::Position;

use crate::baseline::Baseline;
use crate::config::{HOUR_MICROS, Settings};
use crate::history::{DAY_HOURS, History};

/// The most events that an alert cites, the newest of the hour. The key and the hour find all of them.
pub(crate) const CITED_MAX: usize = 10;

/// The most open hours: as many as the longest configured spans allow, and an older one.
pub(crate) const OPEN_MAX: usize = 20;

/// Bytes of a profile and of its parts in memory. Equal on every machine, because evictions depend on them.
const PROFILE_BYTES: usize = 56;
const OPEN_BYTES: usize = size_of::<OpenHour>();
const POSITION_BYTES: usize = size_of::<Position>();

/// What was reported of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reported {
    No,
    Medium,
    High,
}

/// An hour that still accepts events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenHour {
    /// Counted from 1970-01-01T00:00Z.
    pub(crate) hour: i32,
    pub(crate) count: u32,
    /// More events are unusual. 0 until it is computed.
    pub(crate) limit: u32,
    /// The first and last event, in microseconds of the hour.
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) reported: Reported,
}

/// The profile of a user and an action.
#[derive(Debug, Default, Clone)]
pub(crate) struct Profile {
    /// The first known hour.
    pub(crate) since: i32,
    // Invariant: ascending by hour, and empty only before the first event.
    pub(crate) open: Vec<OpenHour>,
    /// The hours before the open ones, except for a late one that was reopened.
    pub(crate) history: History,
    /// The last hour that came close to its limit, and its newest events.
    pub(crate) cited_hour: i32,
    pub(crate) cited: Vec<Position>,
}

/// An hour to report.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) hour: OpenHour,
    /// Whether the hour was reported before, with a lower severity.
    pub(crate) is_rise: bool,
    /// The median of comparable hours. `None` while too few are known.
    pub(crate) median: Option<f64>,
    pub(crate) events: Vec<Position>,
}

impl Remembered for Profile {
    fn n_bytes(&self) -> usize {
        PROFILE_BYTES
            + self.open.len() * OPEN_BYTES
            + self.history.n_bytes()
            + self.cited.len() * POSITION_BYTES
    }
}

/// The hour of a time, and the microseconds since its start. `None` if the time is out of range.
pub(crate) fn hour_of(time: i64) -> Option<(i32, u32)> {
    let hour = i32::try_from(time.div_euclid(HOUR_MICROS)).ok()?;
    Some((hour, time.rem_euclid(HOUR_MICROS) as u32))
}

impl Profile {
    /// Counts an event. Returns the hour if it must be reported.
    pub(crate) fn count(
        &mut self,
        event: &Event,
        (hour, micros): (i32, u32),
        settings: &Settings,
    ) -> Option<Finding> {
        let at = self.opened(hour, settings)?;
        let open = &mut self.open[at];
        open.count = open.count.saturating_add(1);
        open.first = open.first.min(micros);
        open.last = open.last.max(micros);
        if u64::from(open.count) + CITED_MAX as u64 <= u64::from(settings.floor) {
            return None;
        }
        if open.limit == 0 {
            let limit = self.limit(hour, settings);
            self.open[at].limit = limit;
        }
        self.judge(at, event, settings)
    }

    /// What is usual in an hour, by the same hour of the day, the one before and the one after, on each
    /// known day of the history.
    ///
    /// Days off would lower the median and widen the spread, so days without any event are left out as long
    /// as enough days remain. A day reaches twelve hours to each side of the hour, so that no time zone is
    /// needed.
    fn baseline(&self, hour: i32, settings: &Settings) -> Baseline {
        let day_hours = i64::from(DAY_HOURS);
        let known_hours = i64::from(hour) - i64::from(self.since);
        let n_known = (known_hours / day_hours).clamp(0, settings.history_days.into());
        let mut counts = Vec::with_capacity(3 * settings.history_days as usize);
        let mut active_days = 0_u128;
        for (other, count) in self.history.hours() {
            let age = i64::from(hour) - i64::from(other);
            let days = (age + day_hours / 2).div_euclid(day_hours);
            if !(1..=n_known).contains(&days) {
                continue;
            }
            active_days |= 1 << days;
            if (age - days * day_hours).abs() <= 1 {
                counts.push(count);
            }
        }
        let n_days =
            i64::from(active_days.count_ones()).max(n_known.min(settings.history_min_days));
        let n_zeros = (3 * n_days as usize).saturating_sub(counts.len());
        Baseline::of(counts, n_zeros)
    }

    /// Whether the history before an hour is long enough to judge it by that alone.
    fn is_known(&self, hour: i32, settings: &Settings) -> bool {
        i64::from(hour) - i64::from(self.since) >= settings.history_min_days * i64::from(DAY_HOURS)
    }

    /// The highest count of an hour that is not unusual.
    fn limit(&self, hour: i32, settings: &Settings) -> u32 {
        let baseline = self.baseline(hour, settings);
        let floor = f64::from(settings.floor);
        // Equal hours say nothing about the spread.
        let by_score = match baseline.spread {
            0.0 => baseline.median + floor - 1.0,
            _ => baseline.limit(settings.score),
        };
        let limit = by_score.max(baseline.median * settings.ratio).max(floor - 1.0);
        // Saturates.
        let limit = limit as u32;
        if self.is_known(hour, settings) { limit } else { limit.max(settings.fallback) }
    }

    fn judge(&mut self, at: usize, event: &Event, settings: &Settings) -> Option<Finding> {
        let open = self.open[at];
        let high = (f64::from(open.limit) * settings.high_ratio) as u32;
        let (next, reported) = match open.reported {
            Reported::No if open.count > high => (high, Reported::High),
            Reported::No => (open.limit, Reported::Medium),
            Reported::Medium => (high, Reported::High),
            Reported::High => return None,
        };
        if u64::from(open.count) + CITED_MAX as u64 <= u64::from(next) {
            return None;
        }
        self.cite(open.hour, event.position());
        if open.count <= next {
            return None;
        }
        self.open[at].reported = reported;
        let known = self.is_known(open.hour, settings);
        Some(Finding {
            hour: self.open[at],
            is_rise: open.reported != Reported::No,
            median: known.then(|| self.baseline(open.hour, settings).median),
            events: std::mem::take(&mut self.cited),
        })
    }

    fn cite(&mut self, hour: i32, position: Position) {
        if self.cited_hour != hour {
            self.cited_hour = hour;
            self.cited.clear();
        }
        if self.cited.len() == CITED_MAX {
            self.cited.remove(0);
        }
        self.cited.push(position);
    }

    /// The place of an hour among the open ones. `None` if it is too old.
    fn opened(&mut self, hour: i32, settings: &Settings) -> Option<usize> {
        let Some(newest) = self.open.last().map(|open| open.hour) else {
            self.since = hour;
            return Some(self.insert(0, hour));
        };
        if hour == newest {
            return Some(self.open.len() - 1);
        }
        if hour > newest {
            self.close_before(hour, newest, settings);
            return Some(self.insert(self.open.len(), hour));
        }
        let at = self.open.partition_point(|open| open.hour < hour);
        if self.open[at].hour == hour {
            return Some(at);
        }
        if hour >= newest.saturating_sub(settings.open_hours) {
            return Some(self.insert(at, hour));
        }
        self.behind(at, hour, settings)
    }

    /// Reopens an hour that is over for this key: another partition is read much later, or the clock of the
    /// broker was set back. Its events are judged as they come, one such hour at a time. They never become
    /// history, which has that hour already.
    fn behind(&mut self, at: usize, hour: i32, settings: &Settings) -> Option<usize> {
        let newest = self.open.last()?.hour;
        let oldest = newest.saturating_sub(settings.open_hours);
        let is_later = self.open.first().is_some_and(|open| open.hour < oldest && open.hour > hour);
        if is_later {
            return None;
        }
        self.open.drain(..at);
        Some(self.insert(0, hour))
    }

    /// Moves into the history the hours for which no late event is accepted after one at `hour`.
    fn close_before(&mut self, hour: i32, newest: i32, settings: &Settings) {
        let was_oldest = newest.saturating_sub(settings.open_hours);
        let oldest = hour.saturating_sub(settings.open_hours);
        let n_over = self.open.partition_point(|open| open.hour < oldest);
        for at in 0..n_over {
            let open = self.open[at];
            let is_behind = open.hour < was_oldest;
            if !is_behind && open.count >= settings.kept_min {
                let count = self.learned(&open, settings);
                self.history.push(open.hour, count, settings.kept_days());
            }
        }
        self.open.drain(..n_over);
    }

    /// The count of an hour in the history: at most its limit, so that an attack does not become usual soon.
    /// The fixed limit of the first weeks says nothing about the user, so it does not cap the count.
    fn learned(&self, open: &OpenHour, settings: &Settings) -> u32 {
        if open.reported == Reported::No || !self.is_known(open.hour, settings) {
            return open.count;
        }
        open.count.min(open.limit)
    }

    fn insert(&mut self, at: usize, hour: i32) -> usize {
        let (first, last) = (u32::MAX, 0);
        let open = OpenHour { hour, count: 0, limit: 0, first, last, reported: Reported::No };
        if self.open.len() == self.open.capacity() {
            self.open.reserve_exact(1);
        }
        self.open.insert(at, open);
        at
    }
}
