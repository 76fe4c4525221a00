//! Evictions: what was dropped because there was no room, and when that was reported.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Alert, Judgement, Severity};

use crate::alert::raise;
use crate::saved::Format;

const HOUR_MICROS: i64 = 3_600_000_000;

/// The most hours for which a report of evictions is remembered. More than one, because partitions that
/// are read at different speeds move the clock back and forth.
const REPORTED_HOURS_MAX: usize = 24;

/// The most days that earlier releases remembered.
const REPORTED_DAYS_MAX_PREVIOUS: usize = 8;

/// Evictions of keys, and of events within a key, and which of them were reported: at most one alert of
/// each kind per hour, by the Kafka time of events. A flood is reported when it starts, and its size an hour
/// later.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Evictions {
    keys: Reported,
    events: Reported,
    /// All events, windows and the like that were evicted within a key so far.
    n_events: u64,
}

/// How many evictions were reported, and in which hours.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Reported {
    n: u64,
    /// Hours since 1970-01-01, in the order in which they were reported.
    hours: Vec<i64>,
}

impl Evictions {
    /// Counts data of a key that was evicted although it might still have been needed.
    pub fn lose(&mut self) {
        self.n_events = self.n_events.saturating_add(1);
    }

    /// Raises the alerts that are due. Call it after every event that touches a key. `what` names the keys,
    /// in the plural: `addresses with failed logins`.
    #[inline]
    pub fn report(&mut self, n_keys: u64, now: i64, what: &str, out: &mut Judgement) {
        if n_keys != self.keys.n || self.n_events != self.events.n {
            self.report_due(n_keys, now, what, out);
        }
    }

    #[cold]
    fn report_due(&mut self, n_keys: u64, now: i64, what: &str, out: &mut Judgement) {
        if let Some((n_new, start)) = self.keys.due(n_keys, now) {
            let message = format!(
                "{n_new} {what} were evicted since the last alert of this kind, {n_keys} so far, because \
                 max-keys or state-bytes-max was reached: alerts may be missed; raise the limit, or look for a \
                 flood of made-up keys"
            );
            raise(out, alert("state-evicted", n_new, start, now, message));
        }
        let n_events = self.n_events;
        if let Some((n_new, start)) = self.events.due(n_events, now) {
            let message = format!(
                "{n_new} events or windows were evicted since the last alert of this kind, {n_events} so far, \
                 because their keys had too many of them: alerts on these keys may be missed; look at the \
                 busiest keys: made-up events may be there to hide others"
            );
            raise(out, alert("events-evicted", n_new, start, now, message));
        }
    }

    /// Appends the evictions to a state.
    pub fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        writer.uint(self.n_events);
        self.events.write(writer);
    }

    /// Reads what `write` wrote. `None` for other bytes, and if more was reported than evicted.
    pub fn read(reader: &mut Reader<'_>, n_keys: u64, format: Format) -> Option<Self> {
        if format == Format::Previous {
            return Self::read_previous(reader, n_keys);
        }
        let keys = Reported::read(reader, n_keys, REPORTED_HOURS_MAX)?;
        let n_events = reader.uint()?;
        let events = Reported::read(reader, n_events, REPORTED_HOURS_MAX)?;
        Some(Self { keys, events, n_events })
    }

    /// Earlier releases reported only keys, once a day. The current hour may be reported again.
    fn read_previous(reader: &mut Reader<'_>, n_keys: u64) -> Option<Self> {
        let Reported { n, .. } = Reported::read(reader, n_keys, REPORTED_DAYS_MAX_PREVIOUS)?;
        Some(Self { keys: Reported { n, hours: Vec::new() }, ..Self::default() })
    }
}

impl Reported {
    /// How many evictions are due to be reported, and the start of the hour to report them for.
    fn due(&mut self, n: u64, now: i64) -> Option<(u64, i64)> {
        let hour = now.div_euclid(HOUR_MICROS);
        if n <= self.n || self.hours.contains(&hour) {
            return None;
        }
        self.hours.push(hour);
        if self.hours.len() > REPORTED_HOURS_MAX {
            self.hours.remove(0);
        }
        let n_new = n - std::mem::replace(&mut self.n, n);
        Some((n_new, hour.saturating_mul(HOUR_MICROS)))
    }

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.n);
        writer.uint(self.hours.len() as u64);
        for hour in &self.hours {
            writer.int(*hour);
        }
    }

    fn read(reader: &mut Reader<'_>, n_known: u64, times_max: usize) -> Option<Self> {
        let n = reader.uint().filter(|&n| n <= n_known)?;
        let n_hours = reader.count().filter(|&n| n <= times_max)?;
        let mut hours = Vec::with_capacity(n_hours);
        for _ in 0..n_hours {
            hours.push(reader.int()?);
        }
        Some(Self { n, hours })
    }
}

fn alert(rule: &str, count: u64, window_start: i64, now: i64, message: String) -> Alert {
    Alert {
        rule: rule.to_owned(),
        severity: Severity::Low,
        key: Vec::new(),
        window_start,
        first_event: now,
        last_event: now,
        count,
        events: Vec::new(),
        message,
        labels: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule, the count and the start of the alerts.
    fn reported(evictions: &mut Evictions, n_keys: u64, now: i64) -> Vec<(String, u64, i64)> {
        let mut out = Judgement::default();
        evictions.report(n_keys, now, "keys", &mut out);
        let alert = |alert: &Alert| (alert.rule.clone(), alert.count, alert.window_start);
        out.alerts().iter().map(alert).collect()
    }

    fn keys(count: u64, start: i64) -> Vec<(String, u64, i64)> {
        vec![("state-evicted".to_owned(), count, start)]
    }

    #[test]
    fn evictions_are_reported_once_an_hour_as_long_as_they_grow() {
        let mut evictions = Evictions::default();
        assert_eq!(reported(&mut evictions, 0, 0), []);
        assert_eq!(reported(&mut evictions, 3, 5), keys(3, 0));
        assert_eq!(reported(&mut evictions, 9, HOUR_MICROS - 1), []);
        assert_eq!(reported(&mut evictions, 9, HOUR_MICROS), keys(6, HOUR_MICROS));
        // A partition of the hour before, and one forged time: each hour once.
        for n_keys in 10..100 {
            assert_eq!(reported(&mut evictions, n_keys, HOUR_MICROS - 1), []);
            assert_eq!(reported(&mut evictions, n_keys, HOUR_MICROS + 1), []);
        }
        assert_eq!(reported(&mut evictions, 100, i64::MAX)[0].1, 91);
        assert_eq!(reported(&mut evictions, 101, 2 * HOUR_MICROS), keys(1, 2 * HOUR_MICROS));
        assert_eq!(reported(&mut evictions, 101, 3 * HOUR_MICROS), [], "nothing new to report");
    }

    #[test]
    fn the_message_says_how_many_so_far() {
        let mut evictions = Evictions::default();
        let mut out = Judgement::default();
        evictions.report(1, 0, "keys", &mut out);
        evictions.report(70, HOUR_MICROS, "keys", &mut out);
        let message = &out.alerts()[1].message;
        assert!(message.starts_with("69 keys were evicted"), "{message}");
        assert!(message.contains("70 so far"), "{message}");
    }

    #[test]
    fn events_within_a_key_have_an_alert_of_their_own() {
        let mut evictions = Evictions::default();
        evictions.lose();
        evictions.lose();
        assert_eq!(reported(&mut evictions, 0, 7), [("events-evicted".to_owned(), 2, 0)]);
        evictions.lose();
        assert_eq!(reported(&mut evictions, 1, 8), keys(1, 0), "the hour was reported");
        let later = reported(&mut evictions, 1, HOUR_MICROS);
        assert_eq!(later, [("events-evicted".to_owned(), 1, HOUR_MICROS)]);
    }

    #[test]
    fn a_state_is_restored_and_one_of_the_previous_release() {
        let mut evictions = Evictions::default();
        evictions.lose();
        reported(&mut evictions, 3, 5);
        let mut writer = Writer::default();
        evictions.write(&mut writer);
        let state = writer.finish();
        let read = |n_keys| Evictions::read(&mut Reader::new(&state), n_keys, Format::Current);
        assert_eq!(read(3), Some(evictions));
        assert_eq!(read(2), None, "more was reported than evicted");

        let mut writer = Writer::default();
        writer.uint(3);
        writer.uint(1);
        writer.int(20_000);
        let before = writer.finish();
        let mut read = Evictions::read(&mut Reader::new(&before), 4, Format::Previous).unwrap();
        assert_eq!(reported(&mut read, 4, 0), keys(1, 0));
    }
}
