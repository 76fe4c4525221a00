//! The configuration: as written, then checked and its calendars opened.

use audit_detect::{FUTURE_MAX, Limits, STATE_BYTES_DEFAULT, in_range, limits, not_empty};
use audit_hours::{Hours, Keys};
use audit_plugin_sdk::lookup::Table;
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

use crate::calendars::{Calendars, Owners};

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// A longer closed stretch is split into parts of this length: a permanent closure is reported monthly.
pub(crate) const STRETCH_MICROS_MAX: i64 = 31 * DAY_MICROS;

/// How long a stretch is kept after its end, for late events.
pub(crate) const LATE_MICROS: i64 = DAY_MICROS;

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The default urgent actions: data leaves or is lost.
const URGENT_ACTIONS: [&str; 3] = ["data_export", "data_delete", "data_download"];

/// The highest `min-events`.
const EVENTS_MAX: u64 = 1_000_000;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    calendar: Option<String>,
    utc_offset: Option<String>,
    hours: Option<Vec<String>>,
    calendars: Option<CalendarsFile>,
    actions: Vec<String>,
    urgent_actions: Option<Vec<String>>,
    results: Option<Vec<String>>,
    ignore_users: Vec<String>,
    min_events: u64,
    max_future: Span,
    max_keys: usize,
    state_bytes_max: usize,
    show_email: bool,
}

/// The table and the column that map users to calendars.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
struct CalendarsFile {
    table: String,
    column: String,
}

impl Default for File {
    fn default() -> Self {
        let texts = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        Self {
            calendar: None,
            utc_offset: None,
            hours: None,
            calendars: None,
            actions: texts(["data_read", "data_export", "data_delete", "data_download"]),
            urgent_actions: None,
            results: None,
            ignore_users: Vec::new(),
            min_events: 1,
            max_future: Span::from_secs(300),
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
            show_email: false,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) actions: Vec<Action>,
    /// The results that count; `None` for any.
    pub(crate) results: Option<Vec<Vec<u8>>>,
    pub(crate) ignored: Vec<Pattern>,
    /// This many events of a user in a stretch raise an alert.
    pub(crate) n_events_min: u64,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    pub(crate) limits: Limits,
    pub(crate) show_email: bool,
}

/// A value of `action_type` that counts.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: Vec<u8>,
    pub(crate) is_urgent: bool,
}

/// A user, or all users with a prefix.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: Vec<u8>,
    is_start: bool,
}

impl Pattern {
    pub(crate) fn matches(&self, user: &[u8]) -> bool {
        if self.is_start { user.starts_with(&self.text) } else { user == self.text }
    }
}

/// Checks the configuration and opens what it names.
pub(crate) fn read(config: &Config) -> Result<(Settings, Calendars), ConfigError> {
    let file: File = config.parse()?;
    not_empty("actions", &file.actions)?;
    if let Some(results) = &file.results {
        not_empty("results", results)?;
    }
    in_range("min-events", file.min_events, 1, EVENTS_MAX)?;
    in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
    let silence_micros = STRETCH_MICROS_MAX + LATE_MICROS;
    let limits = limits(file.max_keys, file.state_bytes_max, silence_micros)?;
    let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
    let settings = Settings {
        actions: actions(file.actions, file.urgent_actions.as_deref())?,
        results: file.results.map(bytes),
        ignored: patterns(file.ignore_users)?,
        n_events_min: file.min_events,
        max_future_micros: file.max_future.micros(),
        limits,
        show_email: file.show_email,
    };
    let default = Hours::from_keys(Keys {
        calendar: file.calendar.as_deref(),
        utc_offset: file.utc_offset.as_deref(),
        hours: file.hours.as_deref(),
    })?;
    let owners = file.calendars.map(|file| owners(&file)).transpose()?;
    Ok((settings, Calendars::new(default, owners)))
}

fn actions(names: Vec<String>, urgent: Option<&[String]>) -> Result<Vec<Action>, ConfigError> {
    let written = urgent.unwrap_or_default();
    if let Some(at) = written.iter().position(|name| !names.contains(name)) {
        let message = format!("{:?} is not among actions, so it would never count", written[at]);
        return Err(ConfigError::new(&format!("urgent-actions[{at}]"), message));
    }
    let is_urgent = |name: &String| match urgent {
        Some(urgent) => urgent.contains(name),
        None => URGENT_ACTIONS.contains(&name.as_str()),
    };
    let action = |name: String| Action { is_urgent: is_urgent(&name), name: name.into_bytes() };
    Ok(names.into_iter().map(action).collect())
}

fn patterns(users: Vec<String>) -> Result<Vec<Pattern>, ConfigError> {
    let mut patterns = Vec::with_capacity(users.len());
    for (at, user) in users.into_iter().enumerate() {
        let (text, is_start) = match user.strip_suffix('*') {
            Some(start) => (start, true),
            None => (user.as_str(), false),
        };
        if text.is_empty() || text.contains('*') {
            let message = format!("{user:?}: write a user, or how users start: \"svc-*\"");
            return Err(ConfigError::new(&format!("ignore-users[{at}]"), message));
        }
        patterns.push(Pattern { text: text.as_bytes().to_vec(), is_start });
    }
    Ok(patterns)
}

fn owners(file: &CalendarsFile) -> Result<Owners, ConfigError> {
    let table = Table::open(&file.table).map_err(|error| error.of_key("calendars.table"))?;
    table.require_column(&file.column).map_err(|error| error.of_key("calendars.column"))?;
    Ok(Owners { table, column: file.column.clone() })
}
