//! What to generate, and what is known of each event.

use std::time::Duration;

use jiff::Timestamp;

use crate::choices::{Attack, Disorder, Intensity, Population};

/// What to generate. Every value is valid; some are clamped, as the fields say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The seed of everything random.
    pub seed: u64,
    /// The number of events, including those of attacks.
    pub count: u64,
    /// The start of event time, truncated to microseconds and clamped to the years 1 to 9999, as in Python; for
    /// an office to the years 1996 to 9900.
    pub start: Timestamp,
    /// Pattern only: the event time between two background events, truncated to microseconds. An office
    /// ignores it, because people act as they work.
    pub step: Duration,
    /// The number of users. The first five are the pattern's own, the others are made up. At least 1; an
    /// office has at least [`Settings::OFFICE_USERS_MIN`].
    pub users: usize,
    pub population: Population,
    /// The attacks to mix into the background. Duplicates are ignored. If there are any, the pattern has
    /// bursts of failed logins.
    pub attacks: Vec<Attack>,
    /// Office only.
    pub intensity: Intensity,
    /// Office only. Duplicates are ignored.
    pub disorder: Vec<Disorder>,
    /// Whether the `details` of every fourth event on average hold customers' personal data.
    pub pii: bool,
}

impl Settings {
    /// With fewer users, some kinds of people would be missing.
    pub const OFFICE_USERS_MIN: usize = 20;

    /// The pattern's own producer: five users, an event every 30 s, nothing mixed in.
    pub fn new(count: u64, start: Timestamp) -> Self {
        Self {
            seed: 0,
            count,
            start,
            step: Duration::from_secs(30),
            users: 5,
            population: Population::Pattern,
            attacks: Vec::new(),
            intensity: Intensity::default(),
            disorder: Vec::new(),
            pii: false,
        }
    }

    /// Fifty people in an office, nothing mixed in.
    pub fn office(count: u64, start: Timestamp) -> Self {
        Self { users: 50, population: Population::Office, ..Self::new(count, start) }
    }
}

/// What is known of an event without parsing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMeta {
    /// The event's index in the stream, from 0. Labels refer to events by it.
    pub index: u64,
    /// Event time in microseconds since 1970 in UTC, as in the event. Never smaller than that of the previous
    /// event unless [`Settings::disorder`] is set.
    pub event_time_us: i64,
    /// Arrival time, likewise. Never smaller than that of the previous event.
    pub received_time_us: i64,
}
