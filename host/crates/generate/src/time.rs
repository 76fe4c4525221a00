//! Event time: the times of background events, and the format of an instant.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

/// The years 1 to 9999: all of them have four digits, and Python's `datetime` has no others. The limit of jiff is
/// the second to last day of 9999.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_207_200_999_999;
const DAY: i64 = 86_400_000_000;

/// Background events are `step` apart; attacks are in between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    start: i64,
    /// Microseconds, not negative.
    pub(crate) step: i64,
}

impl Timeline {
    pub(crate) fn new(start: Timestamp, step: Duration) -> Self {
        Self {
            start: start.as_microsecond().clamp(EARLIEST, LATEST),
            step: i64::try_from(step.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// The event time of a background event. It stops at the end of the year 9999.
    pub(crate) fn at(&self, background_idx: u64) -> i64 {
        let n_steps = i64::try_from(background_idx).unwrap_or(i64::MAX);
        self.start.saturating_add(self.step.saturating_mul(n_steps)).min(LATEST)
    }
}

/// Writes instants as Python's `isoformat` does for a naive time, always with six digits of
/// fraction. Caches the date, because it rarely changes.
pub(crate) struct Calendar {
    day: i64,
    /// `YYYY-MM-DD`
    date: [u8; 10],
}

impl Calendar {
    pub(crate) fn new() -> Self {
        Self { day: 0, date: *b"1970-01-01" }
    }

    /// The date of `at` in digits alone, `YYYYMMDD`.
    pub(crate) fn compact_date(&mut self, at: i64) -> [u8; 8] {
        self.turn_to(at);
        let [y1, y2, y3, y4, _, m1, m2, _, d1, d2] = self.date;
        [y1, y2, y3, y4, m1, m2, d1, d2]
    }

    /// `at` as `YYYY-MM-DDThh:mm:ss.ffffff`.
    pub(crate) fn text(&mut self, at: i64) -> [u8; 26] {
        self.turn_to(at);
        let within = at.rem_euclid(DAY) as u64;
        let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
        let mut text = *b"0000-00-00T00:00:00.000000";
        text[..10].copy_from_slice(&self.date);
        text[11..13].copy_from_slice(&two_digits(seconds / 3600));
        text[14..16].copy_from_slice(&two_digits(seconds / 60 % 60));
        text[17..19].copy_from_slice(&two_digits(seconds % 60));
        text[20..22].copy_from_slice(&two_digits(fraction / 10_000));
        text[22..24].copy_from_slice(&two_digits(fraction / 100 % 100));
        text[24..26].copy_from_slice(&two_digits(fraction % 100));
        text
    }

    fn turn_to(&mut self, at: i64) {
        let day = at.div_euclid(DAY);
        if day == self.day {
            return;
        }
        let instant = Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
        let date = Offset::UTC.to_datetime(instant).date();
        let year = u64::from(date.year().unsigned_abs());
        self.day = day;
        self.date[..2].copy_from_slice(&two_digits(year / 100));
        self.date[2..4].copy_from_slice(&two_digits(year % 100));
        self.date[5..7].copy_from_slice(&two_digits(u64::from(date.month().unsigned_abs())));
        self.date[8..10].copy_from_slice(&two_digits(u64::from(date.day().unsigned_abs())));
    }
}

fn two_digits(n: u64) -> [u8; 2] {
    [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(instant: &str, expect: &str) {
        let at = instant.parse::<Timestamp>().unwrap().as_microsecond();
        assert_eq!(Calendar::new().text(at), expect.as_bytes());
    }

    #[test]
    fn instants_are_written_as_python_writes_them() {
        check("2025-01-16T08:30:00.123456Z", "2025-01-16T08:30:00.123456");
        check("2024-02-29T23:59:59.000001Z", "2024-02-29T23:59:59.000001");
        check("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999");
        check("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000");
        check("9999-12-30T22:00:00.999999Z", "9999-12-30T22:00:00.999999");
    }

    #[test]
    fn the_timeline_stays_in_the_years_that_python_knows() {
        let timeline = Timeline::new(Timestamp::MIN, Duration::MAX);
        assert_eq!(Calendar::new().text(timeline.at(0)), *b"0001-01-01T00:00:00.000000");
        assert_eq!(Calendar::new().text(timeline.at(u64::MAX)), *b"9999-12-30T22:00:00.999999");
    }
}
