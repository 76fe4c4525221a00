//! The past hours of a key, as far back as they are compared. Hours without events take no space; a day with
//! events takes four bytes, plus one per hour with events.

use crate::coarse;

/// Hours of a day.
pub(crate) const DAY_HOURS: i32 = 24;

/// The most days that the last byte of their number can distinguish.
pub(crate) const DAYS_MAX: i32 = 100;

/// The day's number, and a bit an hour.
const HEADER_BYTES: usize = 4;

/// The most bytes that the hours of all days take.
const ROWS_BYTES_MAX: usize = (HEADER_BYTES + DAY_HOURS as usize) * (DAYS_MAX as usize + 1);

/// The farthest day from 1970 of a state: its hours, and those of days before it, must be numbers as
/// well.
const LAST_DAY_MAX: u32 = (i32::MAX / DAY_HOURS) as u32 - 1_000;

/// Hours and their counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct History {
    /// The day of the last row, counted from 1970-01-01.
    last_day: i32,
    /// A row for each day with events, the oldest first: the last byte of the day's number, a bit for
    /// each hour with events, the count of each as a byte.
    // Invariant: days ascend, the last is `last_day`, none is `DAYS_MAX` days older; no row is empty.
    rows: Vec<u8>,
}

/// One row.
struct Row<'a> {
    day: i32,
    hours: u32,
    counts: &'a [u8],
}

impl History {
    /// Adds an hour later than all that are there, and forgets what is `n_days` older. An hour that is
    /// not later is left out.
    pub(crate) fn push(&mut self, hour: i32, count: u32, n_days: i32) {
        let (day, of_day) = (hour.div_euclid(DAY_HOURS), hour.rem_euclid(DAY_HOURS));
        self.forget_before(day.saturating_sub(n_days.min(DAYS_MAX - 1)));
        let code = coarse::encode(count);
        let bit = 1_u32 << of_day;
        if self.rows.is_empty() || day > self.last_day {
            self.rows.reserve_exact(HEADER_BYTES + 8);
            self.last_day = day;
            self.rows.push(day as u8);
            self.write_hours(self.rows.len(), bit, true);
        } else {
            let Some(at) = self.last_row().filter(|_| day == self.last_day) else { return };
            let hours = hours_of(&self.rows[at..]);
            if hours >= bit {
                return;
            }
            self.write_hours(at + 1, hours | bit, false);
        }
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(8);
        }
        self.rows.push(code);
    }

    /// Every hour with events, the oldest first, and its count.
    pub(crate) fn hours(&self) -> impl Iterator<Item = (i32, u32)> {
        self.iter().flat_map(|row| {
            let hours = (0..DAY_HOURS).filter(move |hour| row.hours & (1 << hour) != 0);
            hours
                .map(move |hour| row.day * DAY_HOURS + hour)
                .zip(row.counts.iter().map(|&code| coarse::decode(code)))
        })
    }

    /// How much memory it takes besides its own size.
    pub(crate) fn n_bytes(&self) -> usize {
        self.rows.len()
    }

    /// The day of the last hour and all rows, for a snapshot.
    pub(crate) fn parts(&self) -> (i32, &[u8]) {
        (self.last_day, &self.rows)
    }

    /// The history from its `parts`. `None` for anything else.
    pub(crate) fn from_parts(last_day: i32, rows: &[u8]) -> Option<Self> {
        // Checked before it is used in arithmetic.
        if rows.len() > ROWS_BYTES_MAX || last_day.unsigned_abs() > LAST_DAY_MAX {
            return None;
        }
        let history = Self { last_day, rows: rows.to_vec() };
        let (mut n_bytes, mut before) = (0, None);
        for row in history.iter() {
            let is_sound = row.hours != 0
                && row.counts.len() == row.hours.count_ones() as usize
                && row.counts.iter().all(|&code| code != 0)
                && row.day > last_day - DAYS_MAX
                && before.is_none_or(|before| before < row.day);
            if !is_sound {
                return None;
            }
            n_bytes += HEADER_BYTES + row.counts.len();
            before = Some(row.day);
        }
        let ends = before.unwrap_or(last_day) == last_day;
        (n_bytes == rows.len() && ends).then_some(history)
    }

    fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        let mut rest = self.rows.as_slice();
        std::iter::from_fn(move || {
            if rest.len() < HEADER_BYTES {
                return None;
            }
            let age = (self.last_day as u8).wrapping_sub(rest[0]);
            let hours = hours_of(rest);
            let counts;
            (counts, rest) = rest[HEADER_BYTES..].split_at_checked(hours.count_ones() as usize)?;
            Some(Row { day: self.last_day - i32::from(age), hours, counts })
        })
    }

    /// The position of the last row.
    fn last_row(&self) -> Option<usize> {
        let mut at = 0;
        let mut last = None;
        for row in self.iter() {
            last = Some(at);
            at += HEADER_BYTES + row.counts.len();
        }
        last
    }

    fn forget_before(&mut self, day: i32) {
        let old = self.iter().take_while(|row| row.day < day);
        let n_bytes: usize = old.map(|row| HEADER_BYTES + row.counts.len()).sum();
        self.rows.drain(..n_bytes);
    }

    fn write_hours(&mut self, at: usize, hours: u32, append: bool) {
        let [first, second, third, _] = hours.to_le_bytes();
        let end = if append { at } else { at + 3 };
        self.rows.splice(at..end, [first, second, third]);
    }
}

fn hours_of(row: &[u8]) -> u32 {
    u32::from_le_bytes([row[1], row[2], row[3], 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hours: &[(i32, u32)], n_days: i32) -> History {
        let mut history = History::default();
        for &(hour, count) in hours {
            history.push(hour, count, n_days);
        }
        history
    }

    fn all(history: &History) -> Vec<(i32, u32)> {
        history.hours().collect()
    }

    #[test]
    fn hours_are_kept_in_order_and_old_days_go() {
        let hours = [(-30, 5), (-29, 6), (-1, 7), (0, 8), (23, 9), (24 * 3 + 5, 10)];
        assert_eq!(all(&of(&hours, 20)), hours);
        assert_eq!(all(&of(&hours, 3)), hours[3..]);
        assert_eq!(all(&of(&hours, 0)), hours[5..]);
        // Far apart: the last byte could not distinguish the days.
        assert_eq!(all(&of(&[(0, 1), (24 * 256, 2)], i32::MAX)), [(24 * 256, 2)]);
        assert_eq!(all(&of(&[(i32::MIN, 1), (i32::MAX, 2)], 28)), [(i32::MAX, 2)]);
    }

    #[test]
    fn an_hour_that_is_not_later_is_left_out() {
        assert_eq!(all(&of(&[(30, 1), (30, 2), (29, 3), (3, 4), (31, 5)], 20)), [(30, 1), (31, 5)]);
    }

    #[test]
    fn a_working_week_takes_few_bytes() {
        let hours: Vec<_> =
            (0..5).flat_map(|day| (9..17).map(move |hour| (day * 24 + hour, 40))).collect();
        assert_eq!(of(&hours, 20).n_bytes(), 5 * (4 + 8));
    }

    #[test]
    fn parts_make_the_same_history_and_damage_is_refused() {
        let history = of(&[(9, 5), (11, 6), (24 * 90 + 23, 7)], 99);
        let (last_day, rows) = history.parts();
        assert_eq!(History::from_parts(last_day, rows), Some(history.clone()));
        assert_eq!(History::from_parts(3, &[]).map(|empty| all(&empty).len()), Some(0));
        for n_bytes in 1..rows.len() {
            if n_bytes != 6 {
                assert_eq!(History::from_parts(last_day, &rows[..n_bytes]), None, "{n_bytes}");
            }
        }
        assert_eq!(History::from_parts(last_day + 1, rows), None, "another last day");
        let swapped = [&rows[6..], &rows[..6]].concat();
        assert_eq!(History::from_parts(0, &swapped), None, "days that fall");
        assert_eq!(History::from_parts(0, &[0, 0, 0, 0]), None, "an empty row");
        assert_eq!(History::from_parts(0, &[0, 1, 0, 0, 0]), None, "an hour without events");
        for last_day in [i32::MIN, i32::MIN + 1, i32::MAX / DAY_HOURS, i32::MAX] {
            assert_eq!(History::from_parts(last_day, &[0, 1, 0, 0, 5]), None, "{last_day}");
            assert_eq!(History::from_parts(last_day, &[last_day as u8, 1, 0, 0, 5]), None);
        }
        assert_eq!(History::from_parts(0, &vec![1; ROWS_BYTES_MAX + 1]), None, "too much");
    }
}
