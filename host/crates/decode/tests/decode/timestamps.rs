//! Times: a table of the rules, then random times against jiff.

use audit_core::ReasonClass;
use jiff::SignedDuration;
use jiff::civil::{self, DateTime};

use crate::random::Random;
use crate::{decode, value};

const N_RANDOM: usize = if cfg!(debug_assertions) { 20_000 } else { 500_000 };

/// The time in microseconds, or why it was rejected.
fn parse(time: &str) -> Result<i64, String> {
    let json = format!("{{\"action_type\":\"a\",\"event_timestamp\":\"{time}\"}}");
    let batch = decode([json.as_bytes()]);
    match batch.rejected.as_slice() {
        [] => Ok(value(&batch, 0, "event_timestamp").unwrap().parse().unwrap()),
        [rejected] => {
            assert_eq!(rejected.class, ReasonClass::BadTimestamp, "{time}");
            let (what, at) = rejected.reason.rsplit_once(" (byte ").unwrap();
            assert_eq!(at, "37)");
            Err(what.strip_prefix("event_timestamp: ").unwrap().to_owned())
        }
        more => panic!("{more:?}"),
    }
}

#[test]
fn times_that_are_taken() {
    const AT: i64 = 1_737_022_830_000_000;
    const HOUR: i64 = 3_600_000_000;
    for (time, micros) in [
        ("2025-01-16T10:20:30Z", AT),
        ("2025-01-16t10:20:30z", AT),
        ("2025-01-16 10:20:30", AT),
        ("2025-01-16T10:20:30", AT),
        ("2025-01-16T10:20:30.123456", AT + 123_456),
        ("2025-01-16T10:20:30.1Z", AT + 100_000),
        ("2025-01-16T10:20:30.123456789Z", AT + 123_456),
        ("2025-01-16T10:20:30.999999999Z", AT + 999_999),
        ("2025-01-16T10:20:30+02", AT - 2 * HOUR),
        ("2025-01-16T10:20:30+0200", AT - 2 * HOUR),
        ("2025-01-16T10:20:30.5+02:00", AT - 2 * HOUR + 500_000),
        ("2025-01-16T10:20:30-02:30", AT + 2 * HOUR + HOUR / 2),
        ("2025-01-16T10:20:30-00:00", AT),
        ("2025-01-16T10:20:30+18:00", AT - 18 * HOUR),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("0001-01-01T18:00:00+18:00", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("9999-12-31T05:59:59.999999-18:00", 253_402_300_799_999_999),
    ] {
        assert_eq!(parse(time), Ok(micros), "{time}");
    }
}

#[track_caller]
fn check_rejected(what: &str, times: &[&str]) {
    for time in times {
        assert_eq!(parse(time), Err(what.to_owned()), "{time}");
    }
}

#[test]
fn times_of_another_shape() {
    check_rejected(
        "not a timestamp like 2025-01-16T10:20:30Z",
        &[
            "",
            "now",
            "2025-01-16",
            "2025-01-16T10:20",
            "2025-01-16T10:20Z",
            "1737022830",
            "20250116T102030Z",
            "2025-1-6T8:30:00",
            "2025/01/16T10:20:30",
            "2025-01-16_10:20:30",
            " 2025-01-16T10:20:30",
            "2025-01-16T10:20:30 ",
            "2025-01-16T10:20:30 Z",
            "2025-01-16T10:20:30ZZ",
            "2025-01-16T10:20:30,5Z",
            "2025-01-16T10:20:30+2",
            "2025-01-16T10:20:30+02:0",
            "2025-01-16T10:20:30+02:00:00",
            "2025-01-16T10:20:30UTC",
            "2025-01-16T10:20:30+02:00[Europe/Berlin]",
            "2025-01-16T10:20:30*02",
            "2025-01-16T10:20:30+02-00",
            "+2025-01-16T10:20:30",
            "-2025-01-16T10:20:30",
            "12025-01-16T10:20:30",
            "２025-01-16T10:20:30",
            "2025-01-16T10:20:3é",
            "2025-01-16T 1:20:30",
            "2025-01-16T+1:20:30",
            "2025-01-16T10:20:30.5é",
        ],
    );
}

#[test]
fn times_that_do_not_exist() {
    check_rejected(
        "the year is not between 1 and 9999",
        &["0000-01-01T00:00:00Z", "0000-12-31T23:59:59-18"],
    );
    check_rejected("no such month", &["2025-00-16T10:20:30Z", "2025-13-16T10:20:30Z"]);
    check_rejected(
        "no such day in that month",
        &[
            "2025-01-00T10:20:30Z",
            "2025-01-32T10:20:30Z",
            "2025-02-29T10:20:30Z",
            "2024-02-30T10:20:30Z",
            "1900-02-29T10:20:30Z",
            "2025-04-31T10:20:30Z",
        ],
    );
    check_rejected("no such hour", &["2025-01-16T24:00:00Z", "2025-01-16T99:00:00Z"]);
    check_rejected("no such minute", &["2025-01-16T10:60:30Z"]);
    check_rejected(
        "no such second; leap seconds are not supported",
        &["2016-12-31T23:59:60Z", "2025-01-16T10:20:61Z"],
    );
    check_rejected(
        "a fraction of a second without digits or with more than nine",
        &["2025-01-16T10:20:30.Z", "2025-01-16T10:20:30.", "2025-01-16T10:20:30.1234567890Z"],
    );
    check_rejected(
        "no such offset from UTC, or more than 18 hours",
        &[
            "2025-01-16T10:20:30+18:01",
            "2025-01-16T10:20:30-19",
            "2025-01-16T10:20:30+01:60",
            "2025-01-16T10:20:30+9900",
        ],
    );
    check_rejected(
        "outside the years 1 to 9999 in UTC",
        &[
            "0001-01-01T00:00:00+00:01",
            "0001-01-01T17:59:59+18",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:59.999999-18:00",
        ],
    );
}

/// A time with the right shape and often a part that does not exist.
fn random_time(random: &mut Random) -> String {
    let year = if random.one_in(4) { random.pick(&[0, 1, 9999]) } else { random.below(10_000) };
    let month = if random.one_in(8) { random.below(14) } else { 1 + random.below(12) };
    let day = if random.one_in(4) { 26 + random.below(7) } else { 1 + random.below(28) };
    let hour = if random.one_in(16) { random.below(100) } else { random.below(24) };
    let minute = if random.one_in(16) { random.below(100) } else { random.below(60) };
    let second = if random.one_in(16) { random.below(100) } else { random.below(60) };
    let separator = random.pick(&['T', 't', ' ']);
    let mut fraction = String::new();
    if random.one_in(2) {
        let digits = format!("{:010}", random.below(10_000_000_000));
        fraction = format!(".{}", &digits[..random.below(11)]);
    }
    let sign = random.pick(&['+', '-']);
    let (hours, minutes) = (random.below(21), random.below(62));
    let zone = match random.below(6) {
        0 => String::new(),
        1 => "Z".to_owned(),
        2 => "z".to_owned(),
        3 => format!("{sign}{hours:02}"),
        4 => format!("{sign}{hours:02}{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    };
    let mut time = format!(
        "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    );
    if random.one_in(8) {
        let at = random.below(time.len());
        let byte = random.pick(b"0123456789-+:.TZ _x");
        time.replace_range(at..=at, &char::from(byte).to_string());
    }
    time
}

/// What the rules make of a time, with jiff for the calendar.
pub(crate) fn expected(time: &str) -> Option<i64> {
    let shape: String =
        time.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    let zone = shape.strip_prefix("0000-00-00")?.strip_prefix(['T', 't', ' '])?;
    let mut zone = zone.strip_prefix("00:00:00")?;
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches('0');
        if !(1..=9).contains(&(fraction.len() - zone.len())) {
            return None;
        }
    }
    let (local, zone_text) = time.split_at(time.len() - zone.len());
    let offset = match zone {
        "" | "Z" | "z" => 0,
        "+00" | "-00" | "+0000" | "-0000" | "+00:00" | "-00:00" => {
            let digits = zone_text[1..].replace(':', "") + "00";
            let (hours, minutes) =
                (digits[..2].parse::<i64>().ok()?, digits[2..4].parse::<i64>().ok()?);
            if minutes > 59 || hours * 60 + minutes > 18 * 60 {
                return None;
            }
            (hours * 60 + minutes) * if zone_text.starts_with('-') { -60 } else { 60 }
        }
        _ => return None,
    };
    // jiff takes a leap second as the second before.
    if &local[17..19] == "60" {
        return None;
    }
    let local: DateTime = local.to_uppercase().replace(' ', "T").parse().ok()?;
    let nanos = local.subsec_nanosecond();
    let local = local.with().subsec_nanosecond(nanos - nanos % 1000).build().ok()?;
    if local.year() < 1 {
        return None;
    }
    let utc = local.checked_sub(SignedDuration::from_secs(offset)).ok()?;
    let since = utc.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    (utc.year() >= 1).then(|| since.as_micros() as i64)
}

#[test]
fn random_times_are_as_jiff_says() {
    let mut random = Random(0x71_6d_65);
    let (mut n_taken, mut n_rejected) = (0, 0);
    for _ in 0..N_RANDOM / 1000 {
        let times: Vec<String> = (0..1000).map(|_| random_time(&mut random)).collect();
        let records: Vec<String> = times
            .iter()
            .map(|time| format!("{{\"event_timestamp\":\"{time}\",\"action_type\":\"a\"}}"))
            .collect();
        let batch = decode(records.iter().map(String::as_bytes));
        let mut found: Vec<Option<i64>> = vec![None; times.len()];
        for (row, record) in batch.record_of_row.iter().enumerate() {
            found[*record as usize] =
                value(&batch, row, "event_timestamp").map(|micros| micros.parse().unwrap());
        }
        for (time, found) in times.iter().zip(found) {
            assert_eq!(found, expected(time), "{time}");
            if found.is_some() { n_taken += 1 } else { n_rejected += 1 }
        }
    }
    assert!(n_taken > N_RANDOM / 10 && n_rejected > N_RANDOM / 10, "{n_taken} {n_rejected}");
}
