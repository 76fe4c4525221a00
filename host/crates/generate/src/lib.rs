//! Seeded synthetic audit events: the pattern's own producer, fast and repeatable, with attacks
//! whose alerts are known beforehand and with personal data whose literals are known afterwards.
//!
//! Nothing here reads a clock, a file or the environment, and no number passes through floating
//! point: the same [`Settings`] give the same bytes on every machine, which is what lets a test
//! compare what came out of a table with what went into a topic.
//!
//! ```
//! use audit_generate::{Attack, Generator, Settings};
//!
//! let start = "2025-01-16T08:30:00.123456Z".parse()?;
//! let mut generator = Generator::new(Settings {
//!     attacks: vec![Attack::FailedLogins],
//!     ..Settings::new(250, start)
//! });
//! let mut event = Vec::new();
//! while let Some(_meta) = generator.next_event(&mut event) {
//!     // Produce `event` here.
//!     event.clear();
//! }
//! assert_eq!(generator.labels().len(), 1);
//! # Ok::<(), jiff::Error>(())
//! ```

#![forbid(unsafe_code)]

mod choices;
mod event;
mod label;
mod office;
mod pattern;
mod pii;
mod random;
mod rules;
mod time;
mod users;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

pub use choices::{Attack, Disorder, Intensity, Population, UnknownName};
pub use label::{Label, Outcome};
pub use office::Lookups;
pub use pii::PiiKind;
pub use rules::{FAILURES_ALLOWED, WINDOW};

use event::Pen;
use office::Office;
use pattern::Pattern;

/// What to generate. Every value is legal; see the fields for what is clamped.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything random follows from it.
    pub seed: u64,
    /// Events in all, those of attacks included.
    pub count: u64,
    /// Where event time begins, cut to microseconds, and to the years 1 to 9999 as in Python; for an
    /// office to the years 1996 to 9900.
    pub start: Timestamp,
    /// The pattern's: event time between two background events, cut to microseconds. People in an
    /// office act as they work, so there it means nothing.
    pub step: Duration,
    /// The first five are the pattern's own, the others are made up. At least 1; an office has at
    /// least [`Settings::OFFICE_USERS_MIN`].
    pub users: usize,
    pub population: Population,
    /// What to mix into the background. An attack named twice is mixed in once; the pattern has
    /// bursts of failed logins whatever is named.
    pub attacks: Vec<Attack>,
    /// An office's.
    pub intensity: Intensity,
    /// An office's; named twice is the same as once.
    pub disorder: Vec<Disorder>,
    /// Whether `details` of one event in four carries customers' personal data.
    pub pii: bool,
}

impl Settings {
    /// With fewer there would not be one of each kind of people.
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

/// What a producer may want to know of an event without parsing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMeta {
    /// The event's place in the stream, from 0; labels name events by it.
    pub index: u64,
    /// Event time in microseconds since 1970 in UTC, as the event says it. Never smaller than that
    /// of the event before unless [`Settings::disorder`] asked for it.
    pub event_time_us: i64,
    /// When the event arrives, likewise. Never smaller than that of the event before.
    pub received_time_us: i64,
}

/// The stream of events.
pub struct Generator {
    count: u64,
    emitted: u64,
    people: People,
}

enum People {
    Pattern(Box<Pattern>),
    Office(Box<Office>),
}

impl Generator {
    pub fn new(settings: Settings) -> Self {
        let count = settings.count;
        let people = match settings.population {
            Population::Pattern => People::Pattern(Box::new(Pattern::new(&settings))),
            Population::Office => People::Office(Box::new(Office::new(settings))),
        };
        Self { count, emitted: 0, people }
    }

    /// Appends the next event to `out` as one JSON object without a newline. `None` once `count`
    /// events have been made.
    pub fn next_event(&mut self, out: &mut Vec<u8>) -> Option<EventMeta> {
        if self.emitted == self.count {
            return None;
        }
        self.emitted += 1;
        Some(match &mut self.people {
            People::Pattern(pattern) => pattern.next_event(out),
            People::Office(office) => office.next_event(out),
        })
    }

    /// The alerts that the events made so far call for, and the near misses among them, in the order
    /// in which the rules trip. A label grows while its attack goes on.
    pub fn labels(&self) -> &[Label] {
        match &self.people {
            People::Pattern(pattern) => pattern.labels(),
            People::Office(office) => office.labels(),
        }
    }

    /// Every sensitive literal in the events made so far, as it stands in them: users' e-mail
    /// addresses always, customers' data if [`Settings::pii`] asked for it.
    pub fn pii_values(&self) -> BTreeMap<String, PiiKind> {
        self.pen().pii_values()
    }

    /// The tables that detectors need for the events made so far. Only an office has them.
    pub fn lookups(&self) -> Option<Lookups> {
        match &self.people {
            People::Pattern(_) => None,
            People::Office(office) => Some(office.lookups()),
        }
    }

    fn pen(&self) -> &Pen {
        match &self.people {
            People::Pattern(pattern) => pattern.pen(),
            People::Office(office) => office.pen(),
        }
    }
}
