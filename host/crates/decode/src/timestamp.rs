//! ISO-8601 timestamps to microseconds since 1970 in UTC.
//!
//! Written by hand for what it rejects, not for speed: some libraries read `:60` as the next minute, some ignore
//! an offset that they do not know, some accept a date without a time. In an audit trail such a record becomes
//! a dead letter, because guessing would be worse.

use crate::fault::What;

/// Offsets from UTC go to 18 hours in ISO-8601 implementations; the largest in use is 14.
const OFFSET_MAX_MINUTES: i64 = 18 * 60;
const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// The first and the last microsecond of the years 1 to 9999.
const MICROS_MIN: i64 = days_since_epoch(1, 1, 1) * DAY_SECONDS * SECOND_MICROS;
const MICROS_MAX: i64 = days_since_epoch(10_000, 1, 1) * DAY_SECONDS * SECOND_MICROS - 1;

/// `YYYY-MM-DD`, then `T`, `t` or a space, then `hh:mm:ss`, then a fraction of up to nine digits or
/// none, then `Z`, `z`, `±hh`, `±hhmm`, `±hh:mm` or nothing, which means UTC.
pub(crate) fn parse(text: &str) -> Result<i64, What> {
    let (head, tail) = text.as_bytes().split_first_chunk::<19>().ok_or(What::TimeShape)?;
    let seconds = date_and_time(head)?;
    let (micros, zone) = fraction(tail)?;
    let utc = seconds - offset_seconds(zone)?;
    let utc_micros = utc * SECOND_MICROS + micros;
    if in_range(utc_micros) { Ok(utc_micros) } else { Err(What::TimeRange) }
}

/// Kafka's milliseconds as microseconds; `None` outside the years 1 to 9999.
pub(crate) fn from_millis(millis: i64) -> Option<i64> {
    millis.checked_mul(1000).filter(|micros| in_range(*micros))
}

fn in_range(micros: i64) -> bool {
    (MICROS_MIN..=MICROS_MAX).contains(&micros)
}

/// Seconds since 1970, not yet moved to UTC.
fn date_and_time(text: &[u8; 19]) -> Result<i64, What> {
    let separators = (text[4], text[7], text[13], text[16]);
    if separators != (b'-', b'-', b':', b':') || !matches!(text[10], b'T' | b't' | b' ') {
        return Err(What::TimeShape);
    }
    let year = 100 * two_digits(text[0], text[1])? + two_digits(text[2], text[3])?;
    let month = two_digits(text[5], text[6])?;
    let day = two_digits(text[8], text[9])?;
    let hour = two_digits(text[11], text[12])?;
    let minute = two_digits(text[14], text[15])?;
    let second = two_digits(text[17], text[18])?;
    if year == 0 {
        return Err(What::TimeYear);
    }
    if !(1..=12).contains(&month) {
        return Err(What::TimeMonth);
    }
    if !(1..=days_in_month(year, month)).contains(&day) {
        return Err(What::TimeDay);
    }
    if hour > 23 {
        return Err(What::TimeHour);
    }
    if minute > 59 {
        return Err(What::TimeMinute);
    }
    if second > 59 {
        return Err(What::TimeSecond);
    }
    let days = days_since_epoch(year, month, day);
    Ok(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// Microseconds, and what follows the fraction. Digits past the sixth are cut off, not rounded:
/// rounding could move an event into the next day.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), What> {
    let Some((b'.', digits)) = text.split_first() else { return Ok((0, text)) };
    let n_digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&n_digits) {
        return Err(What::TimeFraction);
    }
    let (digits, zone) = digits.split_at(n_digits);
    let mut micros = 0;
    for idx in 0..6 {
        micros = micros * 10 + digits.get(idx).map_or(0, |byte| i64::from(byte - b'0'));
    }
    Ok((micros, zone))
}

fn offset_seconds(zone: &[u8]) -> Result<i64, What> {
    let (sign, hours, minutes) = match *zone {
        [] | [b'Z' | b'z'] => return Ok(0),
        [sign, h0, h1] => (sign, two_digits(h0, h1)?, 0),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => {
            (sign, two_digits(h0, h1)?, two_digits(m0, m1)?)
        }
        _ => return Err(What::TimeShape),
    };
    let total = hours * 60 + minutes;
    let total = match sign {
        b'+' => total,
        b'-' => -total,
        _ => return Err(What::TimeShape),
    };
    if minutes > 59 || total.abs() > OFFSET_MAX_MINUTES {
        return Err(What::TimeOffset);
    }
    Ok(total * 60)
}

fn two_digits(tens: u8, ones: u8) -> Result<i64, What> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Ok(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    } else {
        Err(What::TimeShape)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date after the year 0, Gregorian throughout. Counts years from March, so
/// that the leap day is the last of its year.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between the first of March of the year 0 and 1970.
    year * 365 + leap_days + day_of_year - 719_468
}
