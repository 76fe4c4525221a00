//! Alerts. They carry keys, counts, times and positions: no text of an event.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Alert, Field, Position, Severity};

use crate::burst::{Finding, Sighting};
use crate::hash::stable_hash;

/// The most events that an alert cites, as the host keeps no more.
pub(crate) const EVENTS_MAX: usize = 100;

const DAY_MICROS: i64 = 86_400_000_000;

/// The most days of which it is known that evictions were told. More than one, as partitions that are
/// read at different paces move the clock to and fro.
const TOLD_DAYS_MAX: usize = 8;

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
        first_event: burst.start,
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

/// A key column and its value. A value that looks like an e-mail address is masked unless the user wants
/// to see it: `a***@example.com#1f2e3d4c`. The hash tells keys apart; it hides nothing from somebody who
/// can guess the address.
pub fn key_field(column: &str, value: &[u8], show_email: bool) -> Field {
    let text = String::from_utf8_lossy(value);
    let masked = if show_email { None } else { masked_email(&text) };
    Field { name: column.to_owned(), value: masked.unwrap_or_else(|| text.into_owned()) }
}

fn masked_email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let first = local.chars().next()?;
    if domain.is_empty() {
        return None;
    }
    let hash = stable_hash(text.as_bytes()) as u32;
    Some(format!("{first}***@{domain}#{hash:08x}"))
}

/// What was told of keys that were forgotten for want of room: at most one alert a day, by the Kafka
/// time of events.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Evictions {
    n_told: u64,
    /// The days told of, counted from 1970-01-01, the newest last.
    days: Vec<i64>,
}

impl Evictions {
    /// The alert for keys forgotten so far, if one is due. To be asked after every event that touches a
    /// key. `what` says what they are, in the plural: `addresses with failed logins`.
    #[inline]
    pub fn due(&mut self, n_evicted: u64, now: i64, what: &str) -> Option<Alert> {
        if n_evicted == self.n_told {
            return None;
        }
        self.tell(n_evicted, now, what)
    }

    #[cold]
    fn tell(&mut self, n_evicted: u64, now: i64, what: &str) -> Option<Alert> {
        let day = now.div_euclid(DAY_MICROS);
        if self.days.contains(&day) {
            return None;
        }
        self.days.push(day);
        if self.days.len() > TOLD_DAYS_MAX {
            self.days.remove(0);
        }
        let n_new = n_evicted - std::mem::replace(&mut self.n_told, n_evicted);
        Some(Alert {
            rule: "state-evicted".to_owned(),
            severity: Severity::Low,
            key: Vec::new(),
            window_start: day.saturating_mul(DAY_MICROS),
            first_event: now,
            last_event: now,
            count: n_new,
            events: Vec::new(),
            message: format!(
                "{n_new} {what} were forgotten for want of room since this was last said, so alerts may be \
                 missed; raise max-keys or state-bytes-max, or look for a flood of made-up keys"
            ),
            labels: Vec::new(),
        })
    }

    /// Appends it to a state.
    pub fn write(&self, writer: &mut Writer) {
        writer.uint(self.n_told);
        writer.uint(self.days.len() as u64);
        for day in &self.days {
            writer.int(*day);
        }
    }

    /// Reads what `write` wrote. `None` for other bytes, and where more was told than is known of.
    pub fn read(reader: &mut Reader<'_>, n_evicted: u64) -> Option<Self> {
        let n_told = reader.uint().filter(|&n| n <= n_evicted)?;
        let n_days = reader.count().filter(|&n| n <= TOLD_DAYS_MAX)?;
        let mut days = Vec::with_capacity(n_days);
        for _ in 0..n_days {
            days.push(reader.int()?);
        }
        Some(Self { n_told, days })
    }
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
        for other in ["user_017", "@handle", "trailing@", "@", "", "203.0.113.9"] {
            assert_eq!(value(other, false), other);
        }
        assert_eq!(key_field("k", &[0xff], false).value, "\u{fffd}");
    }

    #[test]
    fn evictions_are_told_once_a_day() {
        let mut evictions = Evictions::default();
        let count = |alert: Option<Alert>| alert.map(|alert| alert.count);
        assert_eq!(count(evictions.due(0, 0, "keys")), None);
        assert_eq!(count(evictions.due(3, 5, "keys")), Some(3));
        assert_eq!(count(evictions.due(9, DAY_MICROS - 1, "keys")), None);
        let alert = evictions.due(9, DAY_MICROS, "keys").unwrap();
        assert_eq!((alert.count, alert.window_start), (6, DAY_MICROS));
        // A partition of the day before, and one forged time: each day once.
        for n_evicted in 10..100 {
            assert_eq!(count(evictions.due(n_evicted, DAY_MICROS - 1, "keys")), None);
            assert_eq!(count(evictions.due(n_evicted, DAY_MICROS + 1, "keys")), None);
        }
        assert_eq!(count(evictions.due(100, i64::MAX, "keys")), Some(91));
        assert_eq!(count(evictions.due(101, 2 * DAY_MICROS, "keys")), Some(1));

        let mut writer = Writer::default();
        evictions.write(&mut writer);
        let state = writer.finish();
        assert_eq!(Evictions::read(&mut Reader::new(&state), 101), Some(evictions));
        assert_eq!(Evictions::read(&mut Reader::new(&state), 100), None);
    }

    #[test]
    fn severities_have_codes() {
        for code in 0..5 {
            assert_eq!(severity_of(code).map(severity_code), Some(code));
        }
        assert_eq!(severity_of(5), None);
    }
}
