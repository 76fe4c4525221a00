//! Events with the times of their records: those of an office under attack, and quiet ones that no rule looks at.

use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use audit_generate::{Attack, Generator, Intensity, Lookups, Settings};
use audit_tests::broker::Message;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Some three days, with dozens of attacks.
const N_EVENTS: u64 = 24_000;
const SEED: u64 = 1_301;
const START: &str = "2025-09-22T06:00:00Z";

/// A record to be.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) payload: Vec<u8>,
    /// Kafka's, in milliseconds since 1970.
    pub(super) time: i64,
}

/// The user of an event.
pub(super) fn user_of(payload: &[u8]) -> Result<String> {
    let event: Value = serde_json::from_slice(payload).context("an event that is no JSON")?;
    Ok(event["user_id"].as_str().context("an event without a user")?.to_owned())
}

impl Event {
    pub(super) fn message(&self) -> Message {
        Message { payload: Some(self.payload.clone()), time: Some(self.time), ..Message::default() }
    }
}

pub(super) struct Office {
    /// In the order of their times, of which no two are equal.
    pub(super) events: Vec<Event>,
    pub(super) lookups: Lookups,
}

impl Office {
    /// The time after so many hundredths of the events.
    pub(super) fn time_at(&self, percent: usize) -> i64 {
        self.events[(self.events.len() - 1) * percent / 100].time
    }
}

pub(super) fn office() -> &'static Office {
    static ONCE: OnceLock<Office> = OnceLock::new();
    ONCE.get_or_init(make)
}

fn make() -> Office {
    let start = START.parse().expect("a constant that is a time");
    let mut generator = Generator::new(Settings {
        seed: SEED,
        attacks: Attack::ALL.to_vec(),
        intensity: Intensity::High,
        ..Settings::office(N_EVENTS, start)
    });
    let mut events = Vec::new();
    let (mut payload, mut last) = (Vec::new(), i64::MIN);
    while let Some(meta) = generator.next_event(&mut payload) {
        // Equal times have no order across partitions.
        last = meta.received_time_us.div_euclid(1000).max(last + 1);
        events.push(Event { payload: std::mem::take(&mut payload), time: last });
    }
    let lookups = generator.lookups().expect("an office has tables");
    Office { events, lookups }
}

/// An event that raises no alert, as of a time, in a record of the same time.
pub(super) fn quiet(name: &str, n: usize, time: i64) -> Event {
    let at = Timestamp::from_millisecond(time).expect("a time of a test");
    let event = json!({
        "audit_id": format!("{name}-{n}"), "event_timestamp": at.to_string(),
        "user_id": "user_quiet", "action_type": "user_logout", "action_result": "success",
        "ip_address": "192.0.2.77",
    });
    Event { payload: event.to_string().into_bytes(), time }
}

/// So many quiet events at even distances over the time of the office.
pub(super) fn quiets(name: &str, count: usize) -> Vec<Event> {
    let (first, last) = (office().time_at(0), office().time_at(100));
    let step = (last - first) / count as i64;
    (0..count).map(|n| quiet(name, n, first + n as i64 * step)).collect()
}
