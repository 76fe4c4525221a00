//! Calendars: intervals against a look at the local time, minute by minute.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use audit_lookup::{Calendar, CalendarDefinition, Interval};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1440 * MINUTE;

fn definition(zone: &str, hours: &[&str], holidays: bool) -> CalendarDefinition {
    CalendarDefinition {
        time_zone: zone.to_owned(),
        hours: hours.iter().map(|&text| text.to_owned()).collect(),
        holidays: holidays.then(|| PathBuf::from("holidays.csv")),
    }
}

fn calendar(zone: &str, hours: &[&str], holidays: Option<&str>) -> Calendar {
    Calendar::new("calendars.c", &definition(zone, hours, holidays.is_some()), holidays).unwrap()
}

fn micros(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn at(calendar: &Calendar, time: &str) -> Interval {
    let time = micros(time);
    let mut intervals = calendar.intervals(time, time + 1).unwrap();
    assert_eq!(intervals.len(), 1, "{intervals:?}");
    intervals.remove(0)
}

#[test]
fn a_closed_interval_lasts_from_one_opening_to_the_next() {
    let holidays =
        "date,name\n2025-12-25,Christmas Day\n2025-12-26,Boxing Day\n2025-12-27,Nothing\n";
    let office = calendar("Europe/Berlin", &["mon-fri 09:00-17:00"], Some(holidays));
    // A Wednesday; the holidays are Thursday to Saturday.
    let open = at(&office, "2025-12-24T10:00:00+01:00");
    assert!(open.is_open && open.reason.is_empty());
    assert_eq!(open.start, micros("2025-12-24T09:00:00+01:00"));
    let closed = at(&office, "2025-12-24T17:00:00+01:00");
    assert_eq!(
        (closed.start, closed.end, closed.is_open),
        (micros("2025-12-24T17:00:00+01:00"), micros("2025-12-29T09:00:00+01:00"), false)
    );
    assert_eq!(closed.reason, "Christmas Day, Boxing Day");
    assert_eq!(at(&office, "2025-12-29T08:59:59.999999+01:00"), closed);
    assert!(at(&office, "2025-12-29T09:00:00+01:00").is_open);
    assert_eq!(at(&office, "2025-12-29T20:00:00+01:00").reason, "outside hours");
}

#[test]
fn a_version_is_of_hours_time_zone_and_holidays() {
    let hours = ["mon-fri 09:00-17:00"];
    let office = calendar("Europe/Berlin", &hours, Some("date,name\n2025-01-01,New Year\n"));
    // Computed as in docs/operations.md.
    let expect = "ccf20250aba5ee702015a0b52948598b2623559f59a686f909bc914e164e6cb8";
    assert_eq!(office.sha256(), expect);
    assert_ne!(calendar("Europe/Berlin", &hours, None).sha256(), expect);
}

#[test]
fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = calendar("UTC", &["fri 22:00-06:00"], Some("date\n2025-01-04\n2025-01-10\n"));
    let open = at(&night, "2025-01-04T05:00:00Z");
    assert_eq!(
        (open.start, open.end, open.is_open),
        (micros("2025-01-03T22:00:00Z"), micros("2025-01-04T06:00:00Z"), true)
    );
    // Friday the 10th is a holiday, and so is the Saturday morning that belongs to it.
    let closed = at(&night, "2025-01-11T05:00:00Z");
    assert_eq!((closed.is_open, closed.end), (false, micros("2025-01-17T22:00:00Z")));
    assert_eq!(closed.reason, "holiday");
}

/// Whether a local time is open, computed in another way than the calendar does.
fn is_open(wall: DateTime, spans: &[(&[Weekday], i32, i32)], holidays: &[Date]) -> bool {
    let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
    let covers = |date: Date, minute: i32| {
        let of_day = spans.iter().filter(|(days, ..)| days.contains(&date.weekday()));
        !holidays.contains(&date)
            && of_day.clone().any(|(_, start, end)| *start <= minute && minute < *end)
    };
    covers(wall.date(), minute) || covers(wall.date().yesterday().unwrap(), minute + 1440)
}

#[test]
fn intervals_agree_with_local_time_at_every_minute_of_years() {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let hours = ["mon-fri 08:30-12:00,13:00-17:30", "sat 22:15-02:45", "sun 02:45-03:15"];
    let week = [Monday, Tuesday, Wednesday, Thursday, Friday];
    let spans: [(&[Weekday], i32, i32); 4] =
        [(&week, 510, 720), (&week, 780, 1050), (&[Saturday], 1335, 1605), (&[Sunday], 165, 195)];
    let holiday: Date = "2025-05-01".parse().unwrap();
    // Half an hour of summer time, an offset of 45 minutes, a change at midnight, none at all.
    for zone in [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Cairo",
        "UTC",
    ] {
        let calendar = calendar(zone, &hours, Some("date,name\n2025-05-01,May Day\n"));
        let tz = TimeZone::get(zone).unwrap();
        let (from, until) = (micros("2025-01-01T00:00:00Z"), micros("2026-02-01T00:00:00Z"));
        let intervals = calendar.intervals(from, until).unwrap();
        for pair in intervals.windows(2) {
            assert!(
                pair[0].end == pair[1].start && pair[0].is_open != pair[1].is_open
                    || pair[0].is_open
            );
            assert_eq!(pair[0].end, pair[1].start);
        }
        let mut idx = 0;
        for minute in 0..(until - from) / MINUTE {
            let time = from + minute * MINUTE;
            while intervals[idx].end <= time {
                idx += 1;
            }
            let stamp = Timestamp::from_microsecond(time).unwrap();
            let wall = tz.to_datetime(stamp);
            if tz.to_ambiguous_timestamp(wall).is_ambiguous() {
                continue;
            }
            let expect = is_open(wall, &spans, &[holiday]);
            assert_eq!(intervals[idx].is_open, expect, "{zone} {wall}");
        }
    }
}

#[test]
fn a_time_that_comes_twice_ends_a_span_when_it_comes_again() {
    // In Berlin 03:00 became 02:00 at 2025-10-26T01:00:00Z, and 02:00 became 03:00 at 2025-03-30T01:00:00Z.
    let night = calendar("Europe/Berlin", &["sun 01:00-02:30", "sun 02:30-04:00"], None);
    let first = at(&night, "2025-10-26T00:00:00Z");
    assert_eq!(
        (first.start, first.end),
        (micros("2025-10-25T23:00:00Z"), micros("2025-10-26T00:30:00Z"))
    );
    let second = at(&night, "2025-10-26T01:45:00Z");
    assert_eq!(
        (second.start, second.end),
        (micros("2025-10-26T00:30:00Z"), micros("2025-10-26T03:00:00Z"))
    );
    let skipped = at(&night, "2025-03-30T00:30:00Z");
    assert_eq!(
        (skipped.start, skipped.end),
        (micros("2025-03-30T00:00:00Z"), micros("2025-03-30T01:00:00Z"))
    );
    assert_eq!(at(&night, "2025-03-30T01:00:00Z").end, micros("2025-03-30T02:00:00Z"));
}

/// What is open around a moment at which the clock skips.
fn around(zone: &str, hours: &str, skip: &str) -> Vec<(i64, i64)> {
    let skip = micros(skip);
    let intervals = calendar(zone, &[hours], None).intervals(skip - 1, skip + 1).unwrap();
    let open = intervals.iter().filter(|interval| interval.is_open);
    open.map(|interval| (interval.start, interval.end)).collect()
}

// In Berlin and New York 02:00 becomes 03:00; in Cairo, Santiago and Beirut 00:00 becomes 01:00, which is
// both the end of a day and its beginning. In Apia all of 2011-12-30 is skipped.

#[test]
fn a_span_that_ends_when_the_clock_skips_does_so_at_that_moment() {
    for (zone, hours, start, skip) in [
        ("Europe/Berlin", "sat 18:00-02:00", "2025-03-29T17:00:00Z", "2025-03-30T01:00:00Z"),
        ("Europe/Berlin", "sat 18:00-02:01", "2025-03-29T17:00:00Z", "2025-03-30T01:00:00Z"),
        ("Europe/Berlin", "mon-sun 18:00-02:00", "2025-03-29T17:00:00Z", "2025-03-30T01:00:00Z"),
        ("America/New_York", "sat 22:00-02:00", "2025-03-09T03:00:00Z", "2025-03-09T07:00:00Z"),
        ("Africa/Cairo", "thu 18:00-24:00", "2025-04-24T16:00:00Z", "2025-04-24T22:00:00Z"),
        ("America/Santiago", "sat 18:00-24:00", "2025-09-06T22:00:00Z", "2025-09-07T04:00:00Z"),
        ("Asia/Beirut", "sat 18:00-24:00", "2025-03-29T16:00:00Z", "2025-03-29T22:00:00Z"),
    ] {
        let found = around(zone, hours, skip);
        assert_eq!(found, [(micros(start), micros(skip))], "{zone} {hours}");
    }
    assert_eq!(around("Pacific/Apia", "fri 00:00-24:00", "2011-12-30T10:00:00Z"), []);
}

#[test]
fn a_span_that_begins_when_the_clock_skips_does_so_at_that_moment() {
    for (zone, hours, skip, end) in [
        ("Europe/Berlin", "sun 02:00-10:00", "2025-03-30T01:00:00Z", "2025-03-30T08:00:00Z"),
        ("Europe/Berlin", "sun 02:59-10:00", "2025-03-30T01:00:00Z", "2025-03-30T08:00:00Z"),
        ("America/New_York", "mon-sun 02:00-10:00", "2025-03-09T07:00:00Z", "2025-03-09T14:00:00Z"),
        ("Africa/Cairo", "fri 00:00-24:00", "2025-04-24T22:00:00Z", "2025-04-25T21:00:00Z"),
        ("America/Santiago", "sun 00:00-08:00", "2025-09-07T04:00:00Z", "2025-09-07T11:00:00Z"),
        ("Asia/Beirut", "sun 00:00-24:00", "2025-03-29T22:00:00Z", "2025-03-30T21:00:00Z"),
        ("Pacific/Apia", "sat 00:00-24:00", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ] {
        let found = around(zone, hours, skip);
        assert_eq!(found, [(micros(skip), micros(end))], "{zone} {hours}");
    }
}

#[test]
fn a_week_that_is_open_hour_by_hour_is_never_closed_in_any_zone() {
    let by_hour: Vec<String> =
        (0..24).map(|hour| format!("mon-sun {hour:02}:00-{:02}:00", hour + 1)).collect();
    let by_hour: Vec<&str> = by_hour.iter().map(String::as_str).collect();
    // What an opening may last: an hour or a day, and what the clock is put back at its end.
    let weeks: [(&[&str], i64); 3] = [
        (&by_hour, 4 * 60),
        (&["mon-sun 00:00-24:00"], 27 * 60),
        (&["mon-sun 18:00-02:00", "mon-sun 02:00-10:00", "mon-sun 10:00-18:00"], 11 * 60),
    ];
    for zone in [
        "Europe/Berlin",
        "America/New_York",
        "Africa/Cairo",
        "America/Santiago",
        "Asia/Beirut",
        "America/Havana",
        "America/Asuncion",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "Asia/Gaza",
        "America/Scoresbysund",
        "Pacific/Apia",
        "UTC",
    ] {
        for (hours, minutes_max) in weeks {
            let calendar = calendar(zone, hours, None);
            for from in [
                "2011-01-01T00:00:00Z",
                "2023-01-01T00:00:00Z",
                "2024-01-01T00:00:00Z",
                "2025-01-01T00:00:00Z",
            ] {
                let (from, until) = (micros(from), micros(from) + 366 * DAY);
                let intervals = calendar.intervals(from, until).unwrap();
                assert!(intervals[0].start <= from && until <= intervals.last().unwrap().end);
                for interval in &intervals {
                    let length = interval.end - interval.start;
                    assert!(interval.is_open, "{zone} {hours:?} {interval:?}");
                    assert!(0 < length && length <= minutes_max * MINUTE, "{zone} {interval:?}");
                }
                assert!(intervals.windows(2).all(|pair| pair[0].end == pair[1].start), "{zone}");
            }
        }
    }
}

#[test]
fn intervals_do_not_depend_on_the_range_that_is_asked_for() {
    let office = calendar("America/New_York", &["mon-fri 09:00-17:00"], Some("date\n2025-07-04\n"));
    let (from, until) = (micros("2025-01-01T00:00:00Z"), micros("2025-12-31T00:00:00Z"));
    let all = office.intervals(from, until).unwrap();
    for start in (from..until).step_by(7 * 3_600_000_000) {
        for length in [1, DAY / 3, DAY, 30 * DAY] {
            let end = (start + length).min(until);
            let some = office.intervals(start, end).unwrap();
            let expect: Vec<_> = all
                .iter()
                .filter(|interval| interval.start < end && start < interval.end)
                .collect();
            assert_eq!(some.iter().collect::<Vec<_>>(), expect, "{start} {length}");
        }
    }
}

#[test]
fn times_beyond_every_year_are_closed_and_do_not_take_long() {
    let office = calendar("Europe/Berlin", &["mon-fri 09:00-17:00"], None);
    for time in
        [i64::MIN, i64::MIN + 1, -400_000_000_000_000_000, 400_000_000_000_000_000, i64::MAX - 1]
    {
        let intervals = office.intervals(time, time + 1).unwrap();
        assert!(intervals.len() == 1 && !intervals[0].is_open, "{time}: {intervals:?}");
        assert!(intervals[0].start <= time && time < intervals[0].end);
    }
    assert_eq!(office.intervals(5, 5), Some(Vec::new()));
    assert_eq!(office.intervals(5, 4), Some(Vec::new()));
    assert_eq!(office.intervals(i64::MIN, i64::MAX), None);
    assert_eq!(office.intervals(0, 400 * DAY + 1), None);
    assert!(office.intervals(0, 400 * DAY).is_some());
    assert!(
        office.intervals(-31_536_000_000_000 * 1970, -31_536_000_000_000 * 1970 + DAY).is_some()
    );
}

#[test]
fn wrong_calendars_are_refused_with_key_and_line() {
    let many: Vec<String> = {
        let first: Date = "2025-01-01".parse().unwrap();
        first.series(jiff::ToSpan::days(1)).take(367).map(|date| date.to_string()).collect()
    };
    let for_a_year = format!("date\n{}\n", many.join("\n"));
    let good = ["mon-fri 09:00-17:00"];
    for (zone, hours, holidays, says) in [
        ("Europe/Berln", &good[..], None, "c.time-zone: \"Europe/Berln\" is not a time zone"),
        ("Europe/Berln", &good, None, "did you mean \"Europe/Berlin\"?"),
        // Both would be UTC.
        ("Etc/Unknown", &good, None, "c.time-zone: \"Etc/Unknown\" is not a time zone"),
        ("etc/unknown", &good, None, "c.time-zone: \"etc/unknown\" is not a time zone"),
        ("Factory", &good, None, "c.time-zone: \"Factory\" is not a time zone"),
        ("UTC", &[], None, "c.hours: it covers nothing"),
        (
            "UTC",
            &["mon 09:00-17:00", "mon 16:00-18:00"],
            None,
            "c.hours: \"mon 09:00-17:00\" and \"mon 16:00-18:00\" overlap on mon",
        ),
        (
            "UTC",
            &good,
            Some("day\n2025-01-01\n"),
            "c.holidays: holidays.csv: it has no column \"date\"",
        ),
        ("UTC", &good, Some(""), "c.holidays: holidays.csv: it is empty"),
        ("UTC", &good, Some("date,name\n"), "c.holidays: holidays.csv: it has no rows"),
        ("UTC", &good, Some("\r\ndate,name\r\n\r\n"), "c.holidays: holidays.csv: it has no rows"),
        (
            "UTC",
            &good,
            Some("date,name\n2025-01-01,\"New Year\n2025-12-25,Christmas\n"),
            "holidays.csv, line 2: the quote that opens here is not closed",
        ),
        ("UTC", &good, Some("date\n01.01.2025\n"), "holidays.csv, line 2: not a date"),
        ("UTC", &good, Some("date\n2025-02-29\n"), "holidays.csv, line 2: not a date"),
        ("UTC", &good, Some("date\n0025-01-01\n"), "line 2: not a date in the years"),
        (
            "UTC",
            &good,
            Some("date,name\n2025-01-01,a\n2025-01-01,b\n"),
            "line 3: duplicate date: line 2 has it",
        ),
        (
            "UTC",
            &good,
            Some(&for_a_year),
            "calendars.c: with its holidays it is closed for more than 366 days",
        ),
    ] {
        let refused =
            Calendar::new("calendars.c", &definition(zone, hours, holidays.is_some()), holidays);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(says), "{says}: {said}");
    }
    let missing = definition("UTC", &good, true);
    let said = Calendar::load("calendars.c", &missing).unwrap_err().to_string();
    assert!(said.contains("calendars.c.holidays: holidays.csv: it cannot be read"), "{said}");
}
