//! Business hours: weekly hours at a fixed UTC offset, or a calendar of the host.
//!
//! Shared by all plugins that need business hours, so that an alert and an enriched column never disagree. A
//! fixed offset needs nothing from the host, but has neither holidays nor daylight saving time: for these,
//! configure a calendar.

#![forbid(unsafe_code)]

mod stretch;
mod week;

use audit_plugin_sdk::ConfigError;
use audit_plugin_sdk::lookup::{Calendar, Interval, LookupError};

pub use stretch::Stretch;
pub use week::Week;

/// The default of `hours`: those of the audit-trail pattern.
pub const DEFAULT_HOURS: &str = "mon-fri 09:00-17:00";

/// The configuration keys that define business hours, as the user wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// `calendar`: the name of a calendar of the host.
    pub calendar: Option<&'a str>,
    /// `utc-offset`: `+02:00`.
    pub utc_offset: Option<&'a str>,
    /// `hours`: `mon-fri 09:00-17:00`.
    pub hours: Option<&'a [String]>,
}

/// Business hours.
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
            let message = format!("the calendar {name} defines this already: keep one of the two");
            return Err(ConfigError::new(key, message));
        }
        Self::of_calendar(name).map_err(|error| error.of_key("calendar"))
    }

    /// A calendar of the host by its name.
    pub fn of_calendar(name: &str) -> Result<Self, LookupError> {
        Ok(Self { source: Source::Calendar(Calendar::open(name)?), last: None })
    }

    /// Call it before each batch: calendars change between two batches.
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
