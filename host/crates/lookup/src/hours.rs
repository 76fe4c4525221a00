//! The week of a calendar: `mon-fri 09:00-12:00,13:00-17:00`, `sat 22:00-06:00`.

use jiff::civil::Weekday;

const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Part of a day in local time, half-open. It belongs to the day on which it starts, even if it ends after
/// midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Minutes since midnight.
    pub(crate) start: u32,
    /// Minutes since the same midnight: more than a day if it ends after midnight.
    pub(crate) end: u32,
}

/// The spans of every day, in order, Monday first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Week {
    days: [Vec<Span>; 7],
}

impl Week {
    /// The error says which entry is wrong and what is expected.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, String> {
        // Sorted by start. Each has its entry, for errors.
        let mut spans: Vec<(u32, u32, &str)> = Vec::new();
        for entry in entries {
            let wrong = |problem: &str| format!("{entry:?} {problem}");
            let problem = "is not a range of weekly hours: write \"mon-fri 09:00-17:00\"";
            let (days, times) =
                entry.trim().split_once(char::is_whitespace).ok_or_else(|| wrong(problem))?;
            for day in days_of(days).ok_or_else(|| wrong(problem))? {
                for text in times.split(',') {
                    let (start, end) = times_of(text.trim()).map_err(wrong)?;
                    spans.push((day * DAY_MINUTES + start, day * DAY_MINUTES + end, entry));
                }
            }
        }
        spans.sort_unstable();
        let Some(first) = spans.first().copied() else {
            return Err("it covers nothing: write [\"mon-fri 09:00-17:00\"]".to_owned());
        };
        // The week is a circle: after its last span comes its first.
        let next = (first.0 + WEEK_MINUTES, first.1, first.2);
        for (span, next) in spans.iter().zip(spans.iter().skip(1).chain([&next])) {
            if span.1 > next.0 {
                let day = DAYS[(next.0 % WEEK_MINUTES / DAY_MINUTES) as usize];
                return Err(format!(
                    "{:?} and {:?} overlap on {day}: join them, or let one end where the other begins",
                    span.2, next.2
                ));
            }
        }
        let mut days: [Vec<Span>; 7] = Default::default();
        for (start, end, _) in spans {
            let day = start / DAY_MINUTES;
            let span = Span { start: start - day * DAY_MINUTES, end: end - day * DAY_MINUTES };
            days[day as usize].push(span);
        }
        Ok(Self { days })
    }

    pub(crate) fn spans(&self, day: Weekday) -> &[Span] {
        &self.days[day.to_monday_zero_offset() as usize]
    }
}

/// `mon`, `mon-fri`, `fri-mon`, `mon,wed`.
fn days_of(text: &str) -> Option<Vec<u32>> {
    let day = |name: &str| {
        DAYS.iter().position(|day| name.eq_ignore_ascii_case(day)).map(|day| day as u32)
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let n_days = (last + 7 - first) % 7 + 1;
        days.extend((first..first + n_days).map(|day| day % 7));
    }
    Some(days)
}

/// `09:00-17:00`, or `22:00-06:00` past midnight.
fn times_of(text: &str) -> Result<(u32, u32), &'static str> {
    let parsed = text.split_once('-').and_then(|(start, end)| Some((minute(start)?, minute(end)?)));
    match parsed {
        None => Err("has invalid times: write 09:00-17:00, from 00:00 to 24:00"),
        Some((DAY_MINUTES, _)) => Err("starts at 24:00: write 00:00 and the next day"),
        Some((start, end)) if start == end => {
            Err("starts and ends at the same time: write 00:00-24:00 for a whole day")
        }
        Some((start, end)) if end < start => Ok((start, end + DAY_MINUTES)),
        Some(times) => Ok(times),
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(entries: &[&str]) -> Result<Week, String> {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        Week::parse(&entries)
    }

    fn spans(entries: &[&str], day: Weekday) -> Vec<(u32, u32)> {
        week(entries).unwrap().spans(day).iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn days_and_times_are_read() {
        let split = ["mon-fri 13:00-17:00, 09:00-12:00", "SAT 00:00-24:00"];
        assert_eq!(spans(&split, Weekday::Wednesday), [(540, 720), (780, 1020)]);
        assert_eq!(spans(&split, Weekday::Saturday), [(0, 1440)]);
        assert_eq!(spans(&split, Weekday::Sunday), []);
        assert_eq!(spans(&["sat-mon,wed 22:00-06:00"], Weekday::Monday), [(1320, 1800)]);
        // Adjoining spans do not overlap, not even at the end of the week.
        assert!(week(&["mon-sun 00:00-24:00"]).is_ok());
        assert!(week(&["sun 22:00-06:00", "mon 06:00-07:00"]).is_ok());
    }

    #[test]
    fn invalid_weeks_are_refused() {
        for (entries, says) in [
            (&[][..], "covers nothing"),
            (&["mon-fri"], "is not a range of weekly hours"),
            (&["mo-fr 09:00-17:00"], "is not a range of weekly hours"),
            (&["mon 9:00-17:00"], "has invalid times"),
            (&["mon 09:00-25:00"], "has invalid times"),
            (&["mon 09:60-10:00"], "has invalid times"),
            (&["mon 24:00-06:00"], "starts at 24:00"),
            (&["mon 09:00-09:00"], "starts and ends at the same time"),
            (&["mon 09:00-12:00", "mon-fri 11:59-17:00"], "overlap on mon"),
            (&["mon-fri 09:00-17:00", "wed 10:00-11:00"], "overlap on wed"),
            (&["sun 22:00-06:00", "mon 05:00-07:00"], "overlap on mon"),
            (&["mon,mon 09:00-17:00"], "overlap on mon"),
        ] {
            let said = week(entries).unwrap_err();
            assert!(said.contains(says), "{entries:?}: {said}");
        }
    }
}
