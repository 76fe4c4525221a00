//! When people are at work: hours of the week at a fixed offset from UTC, or a calendar of the host.
//!
//! What all plugins share that tell business hours from the others, so that an alert and an enriched
//! column never disagree. A fixed offset needs nothing of the host, but knows neither holidays nor
//! daylight saving time: who needs these names a calendar.

#![forbid(unsafe_code)]

mod week;

use audit_plugin_sdk::ConfigError;
use audit_plugin_sdk::lookup::{Calendar, Interval, LookupError};

pub use week::Week;

/// What `hours` is where the configuration does not say: the hours of the audit-trail pattern.
pub const DEFAULT_HOURS: &str = "mon-fri 09:00-17:00";

/// A stretch of time through which it is open, or closed: `[start, end)` in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub start: i64,
    pub end: i64,
    pub is_open: bool,
}

impl Stretch {
    /// Whether a time lies in it.
    pub fn covers(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }
}

/// The keys of a configuration that say when people are at work, as the user wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// `calendar`: the name of a calendar of the host.
    pub calendar: Option<&'a str>,
    /// `utc-offset`: `+02:00`.
    pub utc_offset: Option<&'a str>,
    /// `hours`: `mon-fri 09:00-17:00`.
    pub hours: Option<&'a [String]>,
}

/// When people are at work.
#[derive(Debug)]
pub struct Hours {
    source: Source,
    /// The last answer: most events of a batch lie in the same stretch.
    last: Option<Stretch>,
}

#[derive(Debug)]
enum Source {
    Week(Week),
    Calendar(Calendar),
}

impl Hours {
    /// Checks the keys and opens the calendar. An error names the key.
    pub fn from_keys(keys: Keys<'_>) -> Result<Self, ConfigError> {
        let Some(name) = keys.calendar else {
            let default = [DEFAULT_HOURS.to_owned()];
            let hours = keys.hours.unwrap_or(&default);
            let week = Week::parse(keys.utc_offset.unwrap_or("+00:00"), hours)?;
            return Ok(Self { source: Source::Week(week), last: None });
        };
        let others = [("utc-offset", keys.utc_offset.is_some()), ("hours", keys.hours.is_some())];
        if let Some((key, _)) = others.into_iter().find(|(_, is_set)| *is_set) {
            let message = format!("the calendar {name} says this already: keep one of the two");
            return Err(ConfigError::new(key, message));
        }
        Self::of_calendar(name).map_err(|error| error.of_key("calendar"))
    }

    /// A calendar of the host by its name.
    pub fn of_calendar(name: &str) -> Result<Self, LookupError> {
        Ok(Self { source: Source::Calendar(Calendar::open(name)?), last: None })
    }

    /// To be called before each batch: calendars change between two batches.
    pub fn start_batch(&mut self) {
        self.last = None;
    }

    /// The stretch that a time lies in.
    pub fn at(&mut self, time: i64) -> Result<Stretch, LookupError> {
        if let Some(last) = self.last.filter(|last| last.covers(time)) {
            return Ok(last);
        }
        let stretch = match &mut self.source {
            Source::Week(week) => week.at(time),
            Source::Calendar(calendar) => {
                let Interval { start, end, is_open, .. } = calendar.at(time)?;
                Stretch { start, end, is_open }
            }
        };
        self.last = Some(stretch);
        Ok(stretch)
    }
}
