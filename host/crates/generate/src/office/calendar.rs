//! The opening hours of the office: Monday to Friday from 09:00 to 17:00 in Berlin, except on public holidays. Only
//! integers and no time zone database: the rule of the European Union for summer time since 1996 is implemented
//! here, so that the same seed gives the same bytes on every machine.

use crate::rules::{DAY, HOUR};

pub(crate) const TIME_ZONE: &str = "Europe/Berlin";
pub(crate) const HOURS: &str = "mon-fri 09:00-17:00";

const OPENS: i64 = 9 * HOUR;
const CLOSES: i64 = 17 * HOUR;
/// More days than the office is ever closed in a row.
const CLOSED_DAYS_MAX: i64 = 14;

/// A day of the calendar, counted from 1970-01-01, where the office is.
pub(crate) type LocalDay = i64;

/// The local day at an instant in microseconds since 1970 in UTC.
pub(crate) fn local_day(at: i64) -> LocalDay {
    (at + offset(at)).div_euclid(DAY)
}

/// The instant at which a local day begins.
pub(crate) fn midnight(day: LocalDay) -> i64 {
    // The clocks change at 01:00 UTC on a Sunday, hours after any midnight here.
    day * DAY - offset(day * DAY - 2 * HOUR)
}

/// Opening and closing time of a day on which people work. No clock changes on such a day.
pub(crate) fn opening(day: LocalDay) -> (i64, i64) {
    let midnight = midnight(day);
    (midnight + OPENS, midnight + CLOSES)
}

pub(crate) fn is_workday(day: LocalDay) -> bool {
    weekday(day) < 5 && !is_holiday(day)
}

pub(crate) fn next_workday(day: LocalDay) -> LocalDay {
    (day..day + CLOSED_DAYS_MAX).find(|day| is_workday(*day)).unwrap_or(day)
}

fn previous_workday(day: LocalDay) -> LocalDay {
    (0..CLOSED_DAYS_MAX).map(|back| day - back).find(|day| is_workday(*day)).unwrap_or(day)
}

/// From closing to opening around an instant, half-open. `None` while the office is open.
pub(crate) fn closed_around(at: i64) -> Option<(i64, i64)> {
    let today = local_day(at);
    let next = next_workday(today);
    let (opens, closes) = opening(next);
    if at < opens {
        return Some((opening(previous_workday(next - 1)).1, opens));
    }
    (at >= closes).then(|| (closes, opening(next_workday(next + 1)).0))
}

/// Whether the day is one of the last two or the first on which people work in a month.
pub(crate) fn is_month_end(day: LocalDay) -> bool {
    let month = |day| civil(day).1;
    let next = next_workday(day + 1);
    let after = next_workday(next + 1);
    month(after) != month(day) || month(previous_workday(day - 1)) != month(day)
}

/// Public holidays of a year in the whole of Germany, with their names.
pub(crate) fn holidays(year: i64) -> [(LocalDay, &'static str); 9] {
    let easter = easter(year);
    [
        (day_of(year, 1, 1), "New Year"),
        (easter - 2, "Good Friday"),
        (easter + 1, "Easter Monday"),
        (day_of(year, 5, 1), "Labour Day"),
        (easter + 39, "Ascension"),
        (easter + 50, "Whit Monday"),
        (day_of(year, 10, 3), "Unity Day"),
        (day_of(year, 12, 25), "Christmas Day"),
        (day_of(year, 12, 26), "Boxing Day"),
    ]
}

pub(crate) fn year_of(at: i64) -> i64 {
    civil(local_day(at)).0
}

/// `YYYY-MM-DD`.
pub(crate) fn date(day: LocalDay) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn is_holiday(day: LocalDay) -> bool {
    holidays(civil(day).0).iter().any(|(holiday, _)| *holiday == day)
}

/// 0 is Monday.
fn weekday(day: LocalDay) -> i64 {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7)
}

/// How far Berlin's clocks are ahead of UTC: one hour, from the last Sunday of March to that of
/// October two, changing at 01:00 UTC (directive 2000/84/EC).
fn offset(at: i64) -> i64 {
    let (year, ..) = civil(at.div_euclid(DAY));
    let change = |month| last_sunday(year, month) * DAY + HOUR;
    if (change(3)..change(10)).contains(&at) { 2 * HOUR } else { HOUR }
}

/// Of a month with 31 days.
fn last_sunday(year: i64, month: i64) -> LocalDay {
    let last = day_of(year, month, 31);
    last - (weekday(last) + 1) % 7
}

/// Easter Sunday (J.-M. Oudin, 1940; "Explanatory Supplement to the Astronomical Almanac", 1992).
fn easter(year: i64) -> LocalDay {
    let century = year / 100;
    let golden = year % 19;
    let shift = (century - 17) / 25;
    let epact = (century - century / 4 - (century - shift) / 3 + 19 * golden + 15) % 30;
    let epact = epact - (epact / 28) * (1 - (29 / (epact + 1)) * ((21 - golden) / 11));
    let weekday = (year + year / 4 + epact + 2 - century + century / 4) % 7;
    // Days from the full moon to Sunday.
    let from_march = epact - weekday;
    let month = 3 + (from_march + 40) / 44;
    day_of(year, month, from_march + 28 - 31 * (month / 4))
}

/// The day of a date in the Gregorian calendar, and back: Howard Hinnant, "chrono-compatible
/// low-level date algorithms". Eras are of 400 years from the first of March on.
fn day_of(year: i64, month: i64, day: i64) -> LocalDay {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil(day: LocalDay) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(instant: &str) -> i64 {
        instant.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn check(instant: &str, closed: Option<(&str, &str)>) {
        let expected = closed.map(|(from, until)| (at(from), at(until)));
        assert_eq!(closed_around(at(instant)), expected, "{instant}");
    }

    #[test]
    fn opening_and_closing_are_half_open() {
        let (night, day) = (("2025-01-15T16:00:00Z", "2025-01-16T08:00:00Z"), None);
        check("2025-01-15T15:59:59.999999Z", day);
        check("2025-01-15T16:00:00Z", Some(night));
        check("2025-01-16T07:59:59.999999Z", Some(night));
        check("2025-01-16T08:00:00Z", day);
    }

    #[test]
    fn weekends_holidays_and_summer_time_are_closed_in_one_piece() {
        let change = Some(("2025-03-28T16:00:00Z", "2025-03-31T07:00:00Z"));
        check("2025-03-30T00:59:59Z", change);
        check("2025-03-30T01:00:00Z", change);
        check("2025-04-20T10:00:00Z", Some(("2025-04-17T15:00:00Z", "2025-04-22T07:00:00Z")));
        check("2025-10-26T10:00:00Z", Some(("2025-10-24T15:00:00Z", "2025-10-27T08:00:00Z")));
        check("2025-12-25T10:00:00Z", Some(("2025-12-24T16:00:00Z", "2025-12-29T08:00:00Z")));
    }

    #[test]
    fn days_and_dates_agree_with_another_calendar() {
        for day in (0..40_000).step_by(13) {
            let expected = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            assert_eq!(date(day), expected.to_string());
            assert_eq!(weekday(day), i64::from(expected.weekday().to_monday_zero_offset()));
        }
    }

    #[test]
    fn easter_is_when_it_was() {
        let known = [
            (1996, "1996-04-07"),
            (1999, "1999-04-04"),
            (2000, "2000-04-23"),
            (2008, "2008-03-23"),
            (2011, "2011-04-24"),
            (2025, "2025-04-20"),
        ];
        for (year, expected) in known {
            assert_eq!(date(easter(year)), expected);
        }
    }

    #[test]
    fn month_ends_are_the_last_two_and_the_first_workday() {
        let days = day_of(2025, 1, 1)..day_of(2025, 2, 28);
        let ends: Vec<_> =
            days.filter(|day| is_workday(*day) && is_month_end(*day)).map(date).collect();
        let expected = ["2025-01-02", "2025-01-30", "2025-01-31", "2025-02-03", "2025-02-27"];
        assert_eq!(ends, expected);
    }
}
