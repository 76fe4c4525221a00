//! What was forgotten for want of room, and when that was told.

use audit_plugin_sdk::codec::{Reader, Writer};
use audit_plugin_sdk::{Alert, Judgement, Severity};

use crate::alert::raise;
use crate::memory::Format;

const HOUR_MICROS: i64 = 3_600_000_000;

/// The most hours of which it is known that evictions were told. More than one, as partitions that are
/// read at different paces move the clock to and fro.
const TOLD_HOURS_MAX: usize = 24;

/// The most days of which earlier releases knew.
const TOLD_DAYS_MAX_BEFORE: usize = 8;

/// What was told of keys that were forgotten, and of events within a key: at most one alert each an
/// hour, by the Kafka time of events. A flood is told as it starts, and how much it took an hour later.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Evictions {
    keys: Told,
    events: Told,
    /// The events, windows and the like that were forgotten within a key, ever.
    n_events: u64,
}

/// How much was told, and in which hours.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Told {
    n: u64,
    /// Counted from 1970-01-01, the newest last.
    hours: Vec<i64>,
}

impl Evictions {
    /// Counts something of a key that had to be forgotten although it might have counted.
    pub fn lose(&mut self) {
        self.n_events = self.n_events.saturating_add(1);
    }

    /// Raises the alerts that are due. To be asked after every event that touches a key. `what` says
    /// what keys are, in the plural: `addresses with failed logins`.
    #[inline]
    pub fn report(&mut self, n_keys: u64, now: i64, what: &str, out: &mut Judgement) {
        if n_keys != self.keys.n || self.n_events != self.events.n {
            self.tell(n_keys, now, what, out);
        }
    }

    #[cold]
    fn tell(&mut self, n_keys: u64, now: i64, what: &str, out: &mut Judgement) {
        if let Some((n_new, start)) = self.keys.due(n_keys, now) {
            let message = format!(
                "{n_new} {what} were forgotten for want of room since this was last said, {n_keys} so far, so \
                 alerts may be missed; raise max-keys or state-bytes-max, or look for a flood of made-up keys"
            );
            raise(out, alert("state-evicted", n_new, start, now, message));
        }
        let n_events = self.n_events;
        if let Some((n_new, start)) = self.events.due(n_events, now) {
            let message = format!(
                "{n_new} events or windows of keys with too many of them were forgotten since this was last \
                 said, {n_events} so far, so alerts on these keys may be missed; look at the busiest keys: \
                 made-up events may be there to bury others"
            );
            raise(out, alert("events-evicted", n_new, start, now, message));
        }
    }

    /// Appends it to a state.
    pub fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        writer.uint(self.n_events);
        self.events.write(writer);
    }

    /// Reads what `write` wrote. `None` for other bytes, and where more was told than is known of.
    pub fn read(reader: &mut Reader<'_>, n_keys: u64, format: Format) -> Option<Self> {
        if format == Format::Before {
            return Self::read_before(reader, n_keys);
        }
        let keys = Told::read(reader, n_keys, TOLD_HOURS_MAX)?;
        let n_events = reader.uint()?;
        let events = Told::read(reader, n_events, TOLD_HOURS_MAX)?;
        Some(Self { keys, events, n_events })
    }

    /// Earlier releases told of keys alone, and once a day: the hour is open again.
    fn read_before(reader: &mut Reader<'_>, n_keys: u64) -> Option<Self> {
        let Told { n, .. } = Told::read(reader, n_keys, TOLD_DAYS_MAX_BEFORE)?;
        Some(Self { keys: Told { n, hours: Vec::new() }, ..Self::default() })
    }
}

impl Told {
    /// How much is to be told, and the hour that it is told of.
    fn due(&mut self, n: u64, now: i64) -> Option<(u64, i64)> {
        let hour = now.div_euclid(HOUR_MICROS);
        if n <= self.n || self.hours.contains(&hour) {
            return None;
        }
        self.hours.push(hour);
        if self.hours.len() > TOLD_HOURS_MAX {
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

    /// The rule, the count and the start of what is told.
    fn told(evictions: &mut Evictions, n_keys: u64, now: i64) -> Vec<(String, u64, i64)> {
        let mut out = Judgement::default();
        evictions.report(n_keys, now, "keys", &mut out);
        let alert = |alert: &Alert| (alert.rule.clone(), alert.count, alert.window_start);
        out.alerts().iter().map(alert).collect()
    }

    fn keys(count: u64, start: i64) -> Vec<(String, u64, i64)> {
        vec![("state-evicted".to_owned(), count, start)]
    }

    #[test]
    fn evictions_are_told_once_an_hour_as_long_as_they_grow() {
        let mut evictions = Evictions::default();
        assert_eq!(told(&mut evictions, 0, 0), []);
        assert_eq!(told(&mut evictions, 3, 5), keys(3, 0));
        assert_eq!(told(&mut evictions, 9, HOUR_MICROS - 1), []);
        assert_eq!(told(&mut evictions, 9, HOUR_MICROS), keys(6, HOUR_MICROS));
        // A partition of the hour before, and one forged time: each hour once.
        for n_keys in 10..100 {
            assert_eq!(told(&mut evictions, n_keys, HOUR_MICROS - 1), []);
            assert_eq!(told(&mut evictions, n_keys, HOUR_MICROS + 1), []);
        }
        assert_eq!(told(&mut evictions, 100, i64::MAX)[0].1, 91);
        assert_eq!(told(&mut evictions, 101, 2 * HOUR_MICROS), keys(1, 2 * HOUR_MICROS));
        assert_eq!(told(&mut evictions, 101, 3 * HOUR_MICROS), [], "no more than was told");
    }

    #[test]
    fn the_message_says_how_many_so_far() {
        let mut evictions = Evictions::default();
        let mut out = Judgement::default();
        evictions.report(1, 0, "keys", &mut out);
        evictions.report(70, HOUR_MICROS, "keys", &mut out);
        let message = &out.alerts()[1].message;
        assert!(message.starts_with("69 keys were forgotten"), "{message}");
        assert!(message.contains("70 so far"), "{message}");
    }

    #[test]
    fn events_within_a_key_have_an_alert_of_their_own() {
        let mut evictions = Evictions::default();
        evictions.lose();
        evictions.lose();
        assert_eq!(told(&mut evictions, 0, 7), [("events-evicted".to_owned(), 2, 0)]);
        evictions.lose();
        assert_eq!(told(&mut evictions, 1, 8), keys(1, 0), "the hour is told of");
        let later = told(&mut evictions, 1, HOUR_MICROS);
        assert_eq!(later, [("events-evicted".to_owned(), 1, HOUR_MICROS)]);
    }

    #[test]
    fn a_state_is_taken_over_and_one_of_the_release_before() {
        let mut evictions = Evictions::default();
        evictions.lose();
        told(&mut evictions, 3, 5);
        let mut writer = Writer::default();
        evictions.write(&mut writer);
        let state = writer.finish();
        let read = |n_keys| Evictions::read(&mut Reader::new(&state), n_keys, Format::Now);
        assert_eq!(read(3), Some(evictions));
        assert_eq!(read(2), None, "more was told than there was");

        let mut writer = Writer::default();
        writer.uint(3);
        writer.uint(1);
        writer.int(20_000);
        let before = writer.finish();
        let mut read = Evictions::read(&mut Reader::new(&before), 4, Format::Before).unwrap();
        assert_eq!(told(&mut read, 4, 0), keys(1, 0));
    }
}
