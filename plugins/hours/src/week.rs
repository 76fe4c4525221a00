//! Weekly hours at a fixed UTC offset.

use audit_plugin_sdk::ConfigError;

use crate::stretch::Stretch;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
const WEEK: i64 = 7 * DAY;

/// The offset of 1970-01-01, a Thursday, in its week.
const EPOCH_IN_WEEK: i64 = 3 * DAY;

/// The largest UTC offset: more than any zone has, and the same as for event times.
const OFFSET_MINUTES_MAX: i64 = 18 * 60;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The opening hours of a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    offset: i64,
    // Invariant: sorted, opening and closing in turn, at least one of each, within one week.
    edges: Vec<Edge>,
}

/// An opening or a closing, counted from Monday 00:00 in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    at: i64,
    opens: bool,
}

impl Week {
    /// Parses `utc-offset` and `hours`. An error names the wrong key.
    pub fn parse(offset: &str, hours: &[String]) -> Result<Self, ConfigError> {
        let offset = parse_offset(offset).ok_or_else(|| {
            let message =
                format!("{offset:?} is not a UTC offset: write \"+02:00\", at most 18 hours");
            ConfigError::new("utc-offset", message)
        })?;
        if hours.is_empty() {
            let message = "an empty list covers nothing: write \"mon-fri 09:00-17:00\"".to_owned();
            return Err(ConfigError::new("hours", message));
        }
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (place, text) in hours.iter().enumerate() {
            let key = || format!("hours[{place}]");
            let read = parse_hours(text).ok_or_else(|| {
                let message = format!(
                    "{text:?} is not a range of weekly hours: write \"mon-fri 09:00-17:00\", \"sat 10:00-24:00\" or \
                     \"sun-thu 22:00-06:00\""
                );
                ConfigError::new(&key(), message)
            })?;
            for span in read {
                if spans.iter().any(|other| overlap(*other, span)) {
                    let message = format!("{text:?} overlaps other hours of the list");
                    return Err(ConfigError::new(&key(), message));
                }
                spans.push(span);
            }
        }
        let edges = edges(&spans);
        if edges.is_empty() {
            let message = "the whole week is covered: nothing would ever lie outside".to_owned();
            return Err(ConfigError::new("hours", message));
        }
        Ok(Self { offset, edges })
    }

    /// The stretch that a time lies in: from one edge to the next.
    pub fn at(&self, time: i64) -> Stretch {
        let in_week =
            time.saturating_add(self.offset).saturating_add(EPOCH_IN_WEEK).rem_euclid(WEEK);
        let next = self.edges.partition_point(|edge| edge.at <= in_week);
        // Before the first edge of a week, the state since the last edge of the previous week applies.
        let (before, first) =
            (self.edges[(next + self.edges.len() - 1) % self.edges.len()], next == 0);
        let since = in_week - before.at + if first { WEEK } else { 0 };
        let left = match self.edges.get(next) {
            Some(edge) => edge.at - in_week,
            None => self.edges[0].at + WEEK - in_week,
        };
        Stretch {
            start: time.saturating_sub(since),
            end: time.saturating_add(left),
            is_open: before.opens,
        }
    }
}

/// The edges of spans that do not overlap. Adjoining spans are merged.
fn edges(spans: &[(i64, i64)]) -> Vec<Edge> {
    let mut edges = Vec::with_capacity(spans.len() * 2);
    for &(start, end) in spans {
        edges.push(Edge { at: start % WEEK, opens: true });
        edges.push(Edge { at: end % WEEK, opens: false });
    }
    edges.sort_unstable();
    let touches: Vec<i64> =
        edges.windows(2).filter(|pair| pair[0].at == pair[1].at).map(|pair| pair[0].at).collect();
    edges.retain(|edge| !touches.contains(&edge.at));
    edges
}

/// Whether two spans overlap. The week is a circle.
fn overlap(a: (i64, i64), b: (i64, i64)) -> bool {
    [-WEEK, 0, WEEK].iter().any(|turn| a.0 < b.1 + turn && b.0 + turn < a.1)
}

/// `+02:00` in microseconds.
fn parse_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let minutes = parse_time(rest)?;
    (minutes <= OFFSET_MINUTES_MAX).then_some(sign * minutes * MINUTE)
}

/// `mon-fri 09:00-17:00` as one span per day, from the start of the week. The last may end in the next week.
fn parse_hours(text: &str) -> Option<Vec<(i64, i64)>> {
    let (days, times) = text.split_once(' ')?;
    let (from, until) = times.split_once('-')?;
    let (from, until) = (parse_time(from)?, parse_time(until)?);
    // Hours that end before they start end on the next day: a night shift.
    let until = if until < from { until + 24 * 60 } else { until };
    if until == from || from == 24 * 60 {
        return None;
    }
    let days = parse_days(days)?;
    let span = |day: usize| {
        let start = day as i64 * DAY;
        (start + from * MINUTE, start + until * MINUTE)
    };
    Some(days.into_iter().map(span).collect())
}

/// `mon`, `mon-fri`, `fri-mon` or `mon,wed,fri`.
fn parse_days(text: &str) -> Option<Vec<usize>> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let n_days = (last + DAYS.len() - first) % DAYS.len() + 1;
        days.extend((first..first + n_days).map(|day| day % DAYS.len()));
    }
    Some(days)
}

/// `09:00` in minutes; `24:00` is the end of a day.
fn parse_time(text: &str) -> Option<i64> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else {
        return None;
    };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (number(h1, h2), number(m1, m2));
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * MINUTE;
    /// Monday, 2026-11-23, 00:00 UTC.
    const MONDAY: i64 = 20_780 * DAY;

    fn week(offset: &str, hours: &[&str]) -> Week {
        let hours: Vec<String> = hours.iter().map(|&text| text.to_owned()).collect();
        Week::parse(offset, &hours).unwrap()
    }

    /// `from` and `until` count from Monday.
    fn check(week: &Week, at: i64, (from, until, is_open): (i64, i64, bool)) {
        let expected = Stretch { start: MONDAY + from, end: MONDAY + until, is_open };
        assert_eq!(
            week.at(MONDAY + at),
            expected,
            "{} h after Monday, 00:00",
            at as f64 / HOUR as f64
        );
    }

    #[test]
    fn hours_are_half_open() {
        let office = week("+00:00", &["mon-fri 09:00-17:00"]);
        let open = (9 * HOUR, 17 * HOUR, true);
        let night = (17 * HOUR, DAY + 9 * HOUR, false);
        check(&office, 9 * HOUR, open);
        check(&office, 17 * HOUR - 1, open);
        check(&office, 17 * HOUR, night);
        check(&office, 17 * HOUR + 59 * MINUTE, night);
        check(&office, DAY + 9 * HOUR - 1, night);
        check(&office, 9 * HOUR - 1, (-3 * DAY + 17 * HOUR, 9 * HOUR, false));
    }

    #[test]
    fn a_weekend_is_one_stretch() {
        let office = week("+00:00", &["mon-fri 09:00-17:00"]);
        let weekend = (4 * DAY + 17 * HOUR, 7 * DAY + 9 * HOUR, false);
        for at in
            [4 * DAY + 17 * HOUR, 5 * DAY, 6 * DAY + 12 * HOUR, 7 * DAY, 7 * DAY + 9 * HOUR - 1]
        {
            check(&office, at, weekend);
        }
    }

    #[test]
    fn an_offset_shifts_the_hours() {
        check(
            &week("+05:30", &["mon-fri 09:00-17:00"]),
            4 * HOUR,
            (3 * HOUR + 30 * MINUTE, 11 * HOUR + 30 * MINUTE, true),
        );
        check(&week("-08:00", &["mon 09:00-17:00"]), 24 * HOUR, (17 * HOUR, DAY + HOUR, true));
    }

    #[test]
    fn hours_may_pass_midnight_and_the_end_of_the_week() {
        let night = week("+00:00", &["sun-thu 22:00-06:00"]);
        check(&night, HOUR, (-2 * HOUR, 6 * HOUR, true));
        check(&night, 6 * HOUR, (6 * HOUR, 22 * HOUR, false));
        check(&night, 4 * DAY + 6 * HOUR, (4 * DAY + 6 * HOUR, 6 * DAY + 22 * HOUR, false));
        let touching = week(
            "+00:00",
            &["mon 22:00-24:00", "tue 00:00-06:00", "sun 20:00-24:00", "mon 00:00-01:00"],
        );
        check(&touching, DAY, (22 * HOUR, DAY + 6 * HOUR, true));
        check(&touching, 0, (-4 * HOUR, HOUR, true));
    }

    #[test]
    fn any_time_lies_in_its_stretch() {
        let week = week("-03:30", &["mon,wed 08:00-12:00", "fri-sat 20:00-04:00"]);
        for time in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1] {
            assert!(week.at(time).covers(time), "{time}");
        }
        let mut time = MONDAY - 2 * WEEK;
        while time < MONDAY + 2 * WEEK {
            let stretch = week.at(time);
            assert!(stretch.covers(time));
            let next = week.at(stretch.end);
            assert_eq!((next.start, next.is_open), (stretch.end, !stretch.is_open));
            time += 37 * MINUTE;
        }
    }

    #[test]
    fn wrong_hours_name_their_key() {
        let cases: &[(&str, &[&str], &str, &str)] = &[
            ("+00:00", &[], "hours", "covers nothing"),
            ("+00:00", &["mon-fri"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon-fri 9:00-17:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["Monday 09:00-17:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon 09:00-09:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon 09:00-25:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon 09:60-17:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon 24:00-03:00"], "hours[0]", "is not a range of weekly hours"),
            ("+00:00", &["mon 09:00-17:00", "mon 16:59-18:00"], "hours[1]", "overlaps"),
            ("+00:00", &["mon 09:00-17:00", "sun 22:00-09:01"], "hours[1]", "overlaps"),
            ("+00:00", &["mon,mon 09:00-17:00"], "hours[0]", "overlaps"),
            ("+00:00", &["mon-sun 00:00-24:00"], "hours", "the whole week"),
            ("00:00", &["mon 09:00-17:00"], "utc-offset", "not a UTC offset"),
            ("+19:00", &["mon 09:00-17:00"], "utc-offset", "at most 18 hours"),
            ("é2:00", &["mon 09:00-17:00"], "utc-offset", "not a UTC offset"),
            ("", &["mon 09:00-17:00"], "utc-offset", "not a UTC offset"),
        ];
        for (offset, hours, key, message) in cases {
            let hours: Vec<String> = hours.iter().map(|&text| text.to_owned()).collect();
            let error = Week::parse(offset, &hours).expect_err(message);
            assert_eq!(error.key, *key, "{hours:?}: {}", error.message);
            assert!(error.message.contains(message), "{hours:?}: {}", error.message);
        }
    }
}
