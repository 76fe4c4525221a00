//! The configuration: as written, then checked and its calendars opened.

use audit_hours::{Hours, Keys};
use audit_plugin_sdk::lookup::Table;
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The most events of a stretch that may be asked for before an alert.
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
    urgent_actions: Vec<String>,
    results: Option<Vec<String>>,
    ignore_users: Vec<String>,
    min_events: u64,
    max_future: Span,
    max_late: Span,
    max_keys: usize,
    state_bytes_max: u64,
    show_email: bool,
}

/// Which calendar is whose.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
struct CalendarsFile {
    table: String,
    #[serde(default)]
    column: Option<String>,
}
