//! Alerts. They carry keys, counts, times and positions: no text of an event.

use std::ops::RangeInclusive;

use audit_plugin_sdk::{Alert, Field, Judgement, Position, Severity};

use crate::burst::{Finding, Sighting};
use crate::hash::stable_hash;

/// The most events that an alert cites, as the host keeps no more.
pub(crate) const EVENTS_MAX: usize = 100;

/// The times that an alert may carry, as the host allows no others: from 0001-01-01T00:00:00Z, which is
/// no time at all to Go and .NET, to the end of 9999 with room for any offset from UTC.
pub(crate) const TIME_RANGE: RangeInclusive<i64> =
    -62_135_596_800_000_000..=253_402_207_200_000_000;

/// Raises an alert. All alerts of all detectors pass here: a window may start before the first time of
/// the range, or reach beyond the last, and the host takes a row for a dead letter whose alert does.
pub fn raise(out: &mut Judgement, mut alert: Alert) {
    for time in [&mut alert.window_start, &mut alert.first_event, &mut alert.last_event] {
        *time = (*time).clamp(*TIME_RANGE.start(), *TIME_RANGE.end());
    }
    out.alert(alert);
}

/// What parts a name from a domain: plain, percent-encoded, full-width and small.
const AT_SIGNS: [&str; 4] = ["@", "%40", "\u{ff20}", "\u{fe6b}"];

/// The alert for a finding. One that is worse than what was told has a rule of its own, as the host
/// takes two alerts with the same rule, key and window for one. The detector may set another `count`.
pub fn alert(
    finding: &Finding,
    rule: &str,
    key: Vec<Field>,
    message: String,
    labels: Vec<Field>,
) -> Alert {
    let burst = &finding.burst;
    let rule = match (finding.is_rise, burst.severity) {
        (false, _) => rule.to_owned(),
        (true, Severity::Critical) => format!("{rule}-critical"),
        (true, _) => format!("{rule}-escalated"),
    };
    Alert {
        rule,
        severity: burst.severity,
        key,
        window_start: burst.start,
        first_event: burst.first,
        last_event: burst.last,
        count: burst.n_events,
        events: positions(burst.kept.iter()),
        message,
        labels,
    }
}

/// The positions of the newest sightings, the oldest of them first.
pub fn positions<'a>(sightings: impl DoubleEndedIterator<Item = &'a Sighting>) -> Vec<Position> {
    let newest = sightings.rev().take(EVENTS_MAX);
    let mut positions: Vec<Position> = newest.map(|sighting| sighting.event.position()).collect();
    positions.reverse();
    positions
}

/// A name and its value.
pub fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.to_owned() }
}

/// A key column and its value. A value that may hold an e-mail address is masked unless the user wants to
/// see it: `a***@example.com#1f2e3d4c`. The hash tells keys apart; it hides nothing from somebody who can
/// guess the address.
pub fn key_field(column: &str, value: &[u8], show_email: bool) -> Field {
    let text = String::from_utf8_lossy(value);
    let masked = if show_email { None } else { masked_email(&text) };
    Field { name: column.to_owned(), value: masked.unwrap_or_else(|| text.into_owned()) }
}

/// `None` for what holds no sign that parts a name from a domain. Whatever else is wrong with the text,
/// it may be an address: only what stands behind the last sign is shown, and one character.
fn masked_email(text: &str) -> Option<String> {
    let (at, sign) = AT_SIGNS.iter().filter_map(|sign| Some((text.rfind(sign)?, sign))).max()?;
    let domain = text.get(at + sign.len()..).unwrap_or_default();
    let first = text.get(..at).and_then(|local| local.chars().next());
    let first = first.map(String::from).unwrap_or_default();
    let hash = stable_hash(text.as_bytes()) as u32;
    Some(format!("{first}***@{domain}#{hash:08x}"))
}

/// A severity as a number of a state.
pub fn severity_code(severity: Severity) -> u64 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// The severity that a number of a state stands for.
pub fn severity_of(code: u64) -> Option<Severity> {
    let all = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    all.into_iter().find(|severity| severity_code(*severity) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_are_masked_unless_wanted() {
        let value = |text: &str, show| key_field("user_id", text.as_bytes(), show).value;
        let masked = value("alice@example.com", false);
        assert!(masked.starts_with("a***@example.com#"), "{masked}");
        assert_eq!(masked.len(), "a***@example.com#".len() + 8);
        assert_ne!(masked, value("anna@example.com", false));
        assert_eq!(value("alice@example.com", true), "alice@example.com");
        assert!(value("ältere@x.example", false).starts_with("ä***@x.example#"));
        assert!(value("a@b@c", false).starts_with("a***@c#"));
        for plain in ["user_017", "40%", "%4", "", "203.0.113.9"] {
            assert_eq!(value(plain, false), plain);
        }
        assert_eq!(key_field("k", &[0xff], false).value, "\u{fffd}");
    }

    /// Broken, encoded or disguised, an address is an address.
    #[test]
    fn nothing_that_may_be_an_address_is_shown() {
        for (text, expected) in [
            ("alice@example.com@", "a***@#"),
            ("alice%40example.com", "a***@example.com#"),
            ("alice%40example.com%40", "a***@#"),
            ("alice\u{ff20}example.com", "a***@example.com#"),
            ("alice\u{fe6b}example.com", "a***@example.com#"),
            ("alice@example.com\u{ff20}x", "a***@x#"),
            ("@alice", "***@alice#"),
            ("alice@", "a***@#"),
            ("@", "***@#"),
        ] {
            let shown = key_field("user_id", text.as_bytes(), false).value;
            assert!(shown.starts_with(expected), "{text}: {shown}");
            assert_eq!(shown.len(), expected.len() + 8, "{text}: {shown}");
        }
    }

    #[test]
    fn the_times_of_an_alert_are_those_that_the_host_allows() {
        let (min, max) = TIME_RANGE.into_inner();
        for (time, expected) in
            [(i64::MIN, min), (min - 1, min), (min, min), (0, 0), (max, max), (i64::MAX, max)]
        {
            let mut out = Judgement::default();
            let alert = Alert {
                rule: String::new(),
                severity: Severity::Low,
                key: Vec::new(),
                window_start: time,
                first_event: time,
                last_event: time,
                count: 1,
                events: Vec::new(),
                message: String::new(),
                labels: Vec::new(),
            };
            raise(&mut out, alert);
            let told = &out.alerts()[0];
            let times = [told.window_start, told.first_event, told.last_event];
            assert_eq!(times, [expected; 3]);
        }
    }

    #[test]
    fn severities_have_codes() {
        for code in 0..5 {
            assert_eq!(severity_of(code).map(severity_code), Some(code));
        }
        assert_eq!(severity_of(5), None);
    }
}
