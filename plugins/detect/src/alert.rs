//! Alerts. They carry keys, counts, times and positions: no text of an event.

use std::ops::RangeInclusive;

use audit_plugin_sdk::{Alert, Field, Judgement, Severity};

use crate::hash::stable_hash;

/// The most events that an alert cites. The host keeps no more.
pub(crate) const EVENTS_MAX: usize = 100;

/// The times that the host accepts in an alert: from 0001-01-01T00:00:00Z, the zero value of Go and .NET,
/// to the end of 9999 with room for any UTC offset.
pub(crate) const TIME_RANGE: RangeInclusive<i64> =
    -62_135_596_800_000_000..=253_402_207_200_000_000;

/// Raises an alert. Every alert of every detector goes through here: a window may start before the range
/// of accepted times or end after it, and the host dead-letters a row whose alert does.
pub fn raise(out: &mut Judgement, mut alert: Alert) {
    for time in [&mut alert.window_start, &mut alert.first_event, &mut alert.last_event] {
        *time = (*time).clamp(*TIME_RANGE.start(), *TIME_RANGE.end());
    }
    out.alert(alert);
}

/// What separates the local part from the domain: plain, percent-encoded, full-width and small.
const AT_SIGNS: [&str; 4] = ["@", "%40", "\u{ff20}", "\u{fe6b}"];

/// A field from its name and value.
pub fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.to_owned() }
}

/// A key column and its value. A value that may be an email address is masked unless the user asks for it:
/// `a***@example.com#1f2e3d4c`. The hash distinguishes keys. It does not protect an address that somebody
/// can guess.
pub fn key_field(column: &str, value: &[u8], show_email: bool) -> Field {
    let text = String::from_utf8_lossy(value);
    let masked = if show_email { None } else { masked_email(&text) };
    Field { name: column.to_owned(), value: masked.unwrap_or_else(|| text.into_owned()) }
}

/// `None` if the text has no at sign. A malformed text may still be an address, so only its first character
/// and what follows the last sign are shown.
fn masked_email(text: &str) -> Option<String> {
    let (at, sign) = AT_SIGNS.iter().filter_map(|sign| Some((text.rfind(sign)?, sign))).max()?;
    let domain = text.get(at + sign.len()..).unwrap_or_default();
    let first = text.get(..at).and_then(|local| local.chars().next());
    let first = first.map(String::from).unwrap_or_default();
    let hash = stable_hash(text.as_bytes()) as u32;
    Some(format!("{first}***@{domain}#{hash:08x}"))
}

/// The code of a severity in a state.
pub fn severity_code(severity: Severity) -> u64 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// The severity of a code in a state.
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
    fn the_times_of_an_alert_are_those_that_the_host_accepts() {
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
            let raised = &out.alerts()[0];
            let times = [raised.window_start, raised.first_event, raised.last_event];
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
