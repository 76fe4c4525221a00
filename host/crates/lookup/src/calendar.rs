//! Calendars: weekly hours in the local time of a time zone, except on holidays.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use sha2::{Digest as _, Sha256};

use crate::columns::{Columns, Limits};
use crate::csv;
use crate::definition::{CalendarDefinition, nearest};
use crate::error::{Error, Place};
use crate::file::{Input, Stamp};
use crate::hours::Week;

const DAY_MICROS: i64 = 86_400_000_000;
/// The longest range of one request.
const RANGE_DAYS_MAX: i64 = 400;
/// The most closed days in a row: more is a mistake, and would make the search long.
const CLOSED_DAYS_MAX: usize = 366;
const HOLIDAYS_LIMITS: Limits = Limits { rows: 10_000, bytes: 1 << 20 };
/// A date in another year is a typing error.
const HOLIDAY_YEARS: std::ops::RangeInclusive<i16> = 1900..=2999;
/// The zone of the database for machines whose zone is not set.
const NO_ZONE: &str = "Factory";
/// The most holidays that a reason names.
const NAMES_MAX: usize = 3;
const NAME_BYTES_MAX: usize = 64;

/// A loaded calendar. It never changes.
#[derive(Debug)]
pub struct Calendar {
    zone: TimeZone,
    week: Week,
    holidays: BTreeMap<Date, String>,
    sha256: String,
}

/// A stretch of time, half-open, in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    pub start: i64,
    pub end: i64,
    pub is_open: bool,
    /// Why it is closed: `outside hours`, or the names of holidays. Empty when open.
    pub reason: String,
}

impl Calendar {
    /// Reads the holidays of a definition. `key` is the key of the configuration: `calendars.office`.
    pub fn load(
        key: &str,
        definition: &CalendarDefinition,
    ) -> Result<(Self, Option<Stamp>), Error> {
        let Some(path) = &definition.holidays else {
            return Ok((Self::new(key, definition, None)?, None));
        };
        let key_of_file = format!("{key}.holidays");
        let limit = "the limit is 1 MiB";
        let input = Input::open(&key_of_file, path, HOLIDAYS_LIMITS.bytes, limit)?;
        let mut text = String::new();
        let read = (&input.file).take(HOLIDAYS_LIMITS.bytes).read_to_string(&mut text);
        read.map_err(|error| {
            let problem = format!("it cannot be read as UTF-8: {error}");
            Error::File { key: key_of_file.clone(), path: path.clone(), problem }
        })?;
        let (_, stamp) = input.finish()?;
        Ok((Self::new(key, definition, Some(&text))?, Some(stamp)))
    }

    /// A calendar with holidays in memory. The definition's file only appears in errors.
    pub fn new(
        key: &str,
        definition: &CalendarDefinition,
        holidays: Option<&str>,
    ) -> Result<Self, Error> {
        let zone = zone(&definition.time_zone)
            .map_err(|problem| Error::Definition { key: format!("{key}.time-zone"), problem })?;
        let week = Week::parse(&definition.hours)
            .map_err(|problem| Error::Definition { key: format!("{key}.hours"), problem })?;
        let path = definition.holidays.as_deref().unwrap_or(Path::new("holidays"));
        let dates = match holidays {
            Some(csv) => read_holidays(csv).map_err(|(place, problem)| {
                let (key, path) = (format!("{key}.holidays"), path.to_owned());
                match place {
                    Some(place) => Error::Row { key, path, place, problem },
                    None => Error::File { key, path, problem },
                }
            })?,
            None => BTreeMap::new(),
        };
        let mut digest = Sha256::new();
        for part in definition.hours.iter().chain([&definition.time_zone]) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.update(holidays.unwrap_or_default());
        let sha256 = hex::encode(digest.finalize());
        let calendar = Self { zone, week, holidays: dates, sha256 };
        if calendar.is_closed_for_too_long() {
            let problem = format!(
                "with its holidays it is closed for more than {CLOSED_DAYS_MAX} days in a row"
            );
            return Err(Error::Definition { key: key.to_owned(), problem });
        }
        Ok(calendar)
    }

    /// The SHA-256 of the hours, the time zone's name and the holidays, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The intervals that overlap `from..until`, in order and not clipped, so that they do not depend on the
    /// requested range. `None` for a range of more than 400 days.
    pub fn intervals(&self, from: i64, until: i64) -> Option<Vec<Interval>> {
        if i128::from(until) - i128::from(from) > i128::from(RANGE_DAYS_MAX * DAY_MICROS) {
            return None;
        }
        if until <= from {
            return Some(Vec::new());
        }
        let mut intervals = Vec::new();
        // Before the first opening and after the last one there is no edge: the years of a date are bounded.
        let mut closed_since = i64::MIN;
        for (start, end) in self.openings(from, until) {
            intervals.extend(self.closed(closed_since, start));
            intervals.push(Interval { start, end, is_open: true, reason: String::new() });
            closed_since = end;
        }
        intervals.extend(self.closed(closed_since, i64::MAX));
        intervals.retain(|interval| interval.start < until && from < interval.end);
        Some(intervals)
    }

    /// The openings in the range, and at least one before it and one after it.
    fn openings(&self, from: i64, until: i64) -> Vec<(i64, i64)> {
        let (first, last) = (self.date(from), self.date(until));
        let mut before = Vec::new();
        let mut date = first;
        for _ in 0..CLOSED_DAYS_MAX + 8 {
            let Ok(yesterday) = date.yesterday() else { break };
            date = yesterday;
            let of_day = self.openings_of(date);
            let is_enough = of_day.first().is_some_and(|(_, end)| *end <= from);
            before.push(of_day);
            if is_enough {
                break;
            }
        }
        let mut openings: Vec<_> = before.into_iter().rev().flatten().collect();
        let mut date = first;
        for n_days in 0.. {
            let of_day = self.openings_of(date);
            let is_enough = of_day.last().is_some_and(|(start, _)| *start >= until);
            openings.extend(of_day);
            let days_behind = i64::from((date - last).get_days());
            if is_enough || days_behind > CLOSED_DAYS_MAX as i64 + 8 || n_days > 2000 {
                break;
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        // Where the clock is put back, an end may come after the next beginning.
        let next: Vec<i64> = openings.iter().skip(1).map(|(start, _)| *start).collect();
        for ((_, end), next) in openings.iter_mut().zip(next) {
            *end = (*end).min(next);
        }
        openings.retain(|(start, end)| start < end);
        openings
    }

    fn openings_of(&self, date: Date) -> Vec<(i64, i64)> {
        if self.holidays.contains_key(&date) {
            return Vec::new();
        }
        let spans = self.week.spans(date.weekday()).iter();
        spans
            .filter_map(|span| {
                let start = self.instant(date, span.start, Edge::Start)?;
                let end = self.instant(date, span.end, Edge::End)?;
                (start < end).then_some((start, end))
            })
            .collect()
    }

    /// A local time as an instant. A time within a gap is the moment of the gap. Of a time that occurs twice,
    /// a span starts at the first and ends at the second.
    fn instant(&self, date: Date, minutes: u32, edge: Edge) -> Option<i64> {
        let date = if minutes < 1440 { date } else { date.tomorrow().ok()? };
        let minutes = minutes % 1440;
        let time = Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()?;
        let wall = DateTime::from_parts(date, time);
        let at = match (self.zone.to_ambiguous_timestamp(wall).offset(), edge) {
            (AmbiguousOffset::Unambiguous { offset }, _)
            | (AmbiguousOffset::Fold { before: offset, .. }, Edge::Start)
            | (AmbiguousOffset::Fold { after: offset, .. }, Edge::End) => {
                offset.to_timestamp(wall).ok()?
            }
            (AmbiguousOffset::Gap { after, .. }, _) => {
                // With the offset after the gap, every time in the gap is before it, even its first minute.
                let ahead = after.to_timestamp(wall).ok()?;
                let at = self.zone.following(ahead).next();
                at.map_or(ahead, |transition| transition.timestamp())
            }
        };
        Some(at.as_microsecond())
    }

    fn closed(&self, start: i64, end: i64) -> Option<Interval> {
        if start >= end {
            return None;
        }
        Some(Interval { start, end, is_open: false, reason: self.reason(start, end) })
    }

    fn reason(&self, start: i64, end: i64) -> String {
        let days = self.date(start)..=self.date(end.saturating_sub(1));
        let mut names: Vec<&str> = Vec::new();
        for (date, name) in self.holidays.range(days) {
            // A holiday on a day that is closed anyway explains nothing. Each name appears once.
            if !self.week.spans(date.weekday()).is_empty() && !names.contains(&name.as_str()) {
                names.push(name);
            }
            if names.len() == NAMES_MAX {
                break;
            }
        }
        if names.is_empty() { "outside hours".to_owned() } else { names.join(", ") }
    }

    /// The local date, clamped to the first or last possible day.
    fn date(&self, micros: i64) -> Date {
        let beyond = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_microsecond(micros).unwrap_or(beyond);
        self.zone.to_datetime(time).date()
    }

    fn is_closed_for_too_long(&self) -> bool {
        let (Some((first, _)), Some((last, _))) =
            (self.holidays.first_key_value(), self.holidays.last_key_value())
        else {
            return false;
        };
        let mut n_closed = 0;
        let mut date = *first;
        while date <= *last {
            let is_open =
                !self.holidays.contains_key(&date) && !self.week.spans(date.weekday()).is_empty();
            n_closed = if is_open { 0 } else { n_closed + 1 };
            if n_closed > CLOSED_DAYS_MAX {
                return true;
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        false
    }
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    Start,
    End,
}

/// A zone of the database that is part of the program: a minimal machine has none, and two machines may have
/// different ones.
fn zone(name: &str) -> Result<TimeZone, String> {
    let database = TimeZoneDatabase::bundled();
    // Zones without a place count as UTC, which is never meant.
    let is_place =
        |zone: &TimeZone| !zone.is_unknown() && zone.iana_name().is_none_or(|name| name != NO_ZONE);
    database.get(name).ok().filter(is_place).ok_or_else(|| {
        let known: Vec<String> =
            database.available().map(|name| name.as_str().to_owned()).collect();
        let hint = nearest(name, known.iter().map(String::as_str).filter(|name| *name != NO_ZONE))
            .map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
        format!("{name:?} is not a time zone of the IANA database, such as Europe/Berlin{hint}")
    })
}

fn read_holidays(text: &str) -> Result<BTreeMap<Date, String>, (Option<Place>, String)> {
    let columns = csv::read(text.as_bytes(), HOLIDAYS_LIMITS)?;
    let Columns { names, texts, places, .. } = &columns;
    let column = |name: &str| names.iter().position(|own| own == name).and_then(|at| texts.get(at));
    let Some(dates) = column("date") else {
        let problem = format!("it has no column \"date\"; it has: {}", names.join(", "));
        return Err((None, problem));
    };
    // A truncated file would open every holiday.
    if places.is_empty() {
        return Err((None, "it has no rows: without holidays omit the key".to_owned()));
    }
    let titles = column("name");
    let mut holidays: BTreeMap<Date, (String, Place)> = BTreeMap::new();
    for (row, place) in places.iter().enumerate() {
        let wrong = |problem: String| (Some(*place), problem);
        let row = row as u32;
        let text = dates.get(row);
        let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
        let date = date.filter(|date| HOLIDAY_YEARS.contains(&date.year())).ok_or_else(|| {
            wrong("not a date in the years 1900 to 2999: write 2025-12-25".to_owned())
        })?;
        let name = titles.map(|titles| titles.get(row)).filter(|name| !name.is_empty());
        let name = without_control(name.unwrap_or("holiday"));
        if name.len() > NAME_BYTES_MAX {
            return Err(wrong(format!("the name has more than {NAME_BYTES_MAX} bytes")));
        }
        if let Some((_, before)) = holidays.insert(date, (name, *place)) {
            return Err(wrong(format!("duplicate date: {before} has it already")));
        }
    }
    Ok(holidays.into_iter().map(|(date, (name, _))| (date, name)).collect())
}

/// Names become part of alerts. `audit_core::text` would do the same, but this crate does not depend on it.
fn without_control(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}
