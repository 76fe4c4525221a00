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

mod attack;
mod background;
mod event;
mod failed_logins;
mod pii;
mod random;
mod time;
mod users;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

pub use attack::{Attack, Label, UnknownAttack};
pub use failed_logins::{FAILURES_ALLOWED, WINDOW};
pub use pii::PiiKind;

use attack::Agenda;
use background::Background;
use event::Pen;
use time::Timeline;

/// What to generate. Every value is legal; see the fields for what is clamped.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything random follows from it.
    pub seed: u64,
    /// Events in all, those of attacks included.
    pub count: u64,
    /// The event time of the first event, cut to microseconds, and to the years 1 to 9999 as in
    /// Python.
    pub start: Timestamp,
    /// Event time between two background events, cut to microseconds.
    pub step: Duration,
    /// The first five are the pattern's own, the others are made up. At least 1.
    pub users: usize,
    /// What to mix into the background. An attack named twice is mixed in once.
    pub attacks: Vec<Attack>,
    /// Whether `details` of one event in four carries customers' personal data.
    pub pii: bool,
}

impl Settings {
    /// The pattern's own producer: five users, an event every 30 s, nothing mixed in.
    pub fn new(count: u64, start: Timestamp) -> Self {
        Self {
            seed: 0,
            count,
            start,
            step: Duration::from_secs(30),
            users: 5,
            attacks: Vec::new(),
            pii: false,
        }
    }
}

/// What a producer may want to know of an event without parsing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMeta {
    /// The event's place in the stream, from 0; labels name events by it.
    pub index: u64,
    /// Event time in microseconds since 1970 in UTC. Never smaller than that of the event before.
    pub event_time_us: i64,
}

/// The stream of events.
pub struct Generator {
    count: u64,
    emitted: u64,
    /// Background events so far: the place on the timeline.
    background_emitted: u64,
    timeline: Timeline,
    background: Background,
    agenda: Agenda,
    pen: Pen,
}

impl Generator {
    pub fn new(settings: Settings) -> Self {
        let timeline = Timeline::new(settings.start, settings.step);
        let pen = Pen::new(settings.seed, settings.users, settings.pii);
        let capped = settings.attacks.contains(&Attack::FailedLogins);
        let agenda =
            Agenda::new(settings.seed, settings.count, timeline, pen.n_users(), settings.attacks);
        Self {
            count: settings.count,
            emitted: 0,
            background_emitted: 0,
            timeline,
            background: Background::new(settings.seed, pen.n_users(), capped),
            agenda,
            pen,
        }
    }

    /// Appends the next event to `out` as one JSON object without a newline. `None` once `count`
    /// events have been made.
    pub fn next_event(&mut self, out: &mut Vec<u8>) -> Option<EventMeta> {
        if self.emitted == self.count {
            return None;
        }
        let index = self.emitted;
        self.agenda.plan(self.background_emitted);
        let background_at = self.timeline.at(self.background_emitted);
        let event_time_us = if let Some(deed) = self.agenda.deed_until(background_at, index) {
            self.agenda.write(&deed, &mut self.pen, out);
            deed.at
        } else {
            self.background.write(background_at, &mut self.pen, out);
            self.background_emitted += 1;
            background_at
        };
        self.emitted += 1;
        Some(EventMeta { index, event_time_us })
    }

    /// The alerts that the events made so far call for, exactly one per label, in the order in
    /// which the rules trip. A label grows while its burst goes on.
    pub fn labels(&self) -> &[Label] {
        self.agenda.labels()
    }

    /// Every sensitive literal in the events made so far, as it stands in them: users' e-mail
    /// addresses always, customers' data if [`Settings::pii`] asked for it.
    pub fn pii_values(&self) -> BTreeMap<String, PiiKind> {
        self.pen.pii_values()
    }
}
