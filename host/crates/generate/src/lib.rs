//! Seeded synthetic audit events: the audit-trail pattern's own producer, fast and repeatable, with attacks
//! whose alerts are known in advance and personal data whose literals are known afterwards.
//!
//! Nothing here reads a clock, a file or the environment, and nothing uses floating point: the same
//! [`Settings`] give the same bytes on every machine. So a test can compare the rows of a table with the events
//! that were sent to a topic.
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
mod error;
mod event;
mod label;
mod office;
mod pattern;
mod pii;
mod random;
mod rules;
mod settings;
mod time;
mod users;

use std::collections::BTreeMap;

pub use choices::{Attack, Disorder, Intensity, Population};
pub use error::Error;
pub use label::{Label, Outcome};
pub use office::Lookups;
pub use pii::PiiKind;
pub use rules::{FAILURES_ALLOWED, WINDOW};
pub use settings::{EventMeta, Settings};

use event::Pen;
use office::Office;
use pattern::Pattern;

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

    /// Appends the next event to `out` as one JSON object without a newline. `None` after `count` events.
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

    /// The alerts that the events so far must raise, and the near misses among them, in the order in which the
    /// rules trip. A label grows while its attack goes on.
    pub fn labels(&self) -> &[Label] {
        match &self.people {
            People::Pattern(pattern) => pattern.labels(),
            People::Office(office) => office.labels(),
        }
    }

    /// Every sensitive literal in the events so far, as written there: always the users' email addresses, and
    /// customers' data if [`Settings::pii`] is set.
    pub fn pii_values(&self) -> BTreeMap<String, PiiKind> {
        self.pen().pii_values()
    }

    /// The tables that detectors need for the events so far. Only an office has them.
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
