//! The configuration: as written, then checked.

use audit_detect::{
    FUTURE_MAX, LOOSE_MAX, Limits, STATE_BYTES_DEFAULT, WINDOW_MAX, WINDOW_MIN, in_range,
    kept_micros, limits, not_empty,
};
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// More rows than any table has. Sums of smaller numbers do not overflow.
const ROWS_MAX: u64 = 1_000_000_000_000_000;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    events: usize,
    events_window: Span,
    window: Span,
    rows_medium: u64,
    rows_high: u64,
    rows_critical: u64,
    max_future: Span,
    actions: Vec<String>,
    results: Vec<String>,
    row_fields: Vec<String>,
    show_email: bool,
    max_keys: usize,
    state_bytes_max: usize,
}

impl Default for File {
    fn default() -> Self {
        Self {
            events: 20,
            events_window: Span::from_secs(300),
            window: Span::from_secs(3_600),
            rows_medium: 10_000,
            rows_high: 50_000,
            rows_critical: 100_000,
            max_future: Span::from_secs(300),
            actions: ["data_export", "data_download"].map(str::to_owned).into(),
            results: vec!["success".to_owned()],
            row_fields: vec!["rows_exported".to_owned()],
            show_email: false,
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// This many exports within `events_window` raise an alert.
    pub(crate) events: usize,
    pub(crate) events_window: Span,
    /// This many rows within `window` raise an alert of each severity.
    pub(crate) window: Span,
    pub(crate) rows_medium: u64,
    pub(crate) rows_high: u64,
    pub(crate) rows_critical: u64,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    pub(crate) actions: Vec<Vec<u8>>,
    pub(crate) results: Vec<Vec<u8>>,
    /// The fields of `details` with the number of rows.
    pub(crate) row_fields: Vec<String>,
    pub(crate) show_email: bool,
    pub(crate) limits: Limits,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        in_range("events", file.events, 1, LOOSE_MAX)?;
        in_range("window", file.window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("events-window", file.events_window, WINDOW_MIN, file.window)?;
        in_range("rows-medium", file.rows_medium, 1, ROWS_MAX)?;
        in_range("rows-high", file.rows_high, file.rows_medium, ROWS_MAX)?;
        in_range("rows-critical", file.rows_critical, file.rows_high, ROWS_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        not_empty("actions", &file.actions)?;
        not_empty("results", &file.results)?;
        check_room(&file)?;
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
        let silence_micros = kept_micros(file.window.micros());
        Ok(Self {
            events: file.events,
            events_window: file.events_window,
            window: file.window,
            rows_medium: file.rows_medium,
            rows_high: file.rows_high,
            rows_critical: file.rows_critical,
            max_future_micros: file.max_future.micros(),
            actions: bytes(file.actions),
            results: bytes(file.results),
            row_fields: file.row_fields,
            show_email: file.show_email,
            limits: limits(file.max_keys, file.state_bytes_max, silence_micros)?,
        })
    }
}

/// A user who stays just below `events` must not have more exports in a window than are kept: rows would be
/// missing from the sum.
fn check_room(file: &File) -> Result<(), ConfigError> {
    let (window, events_window) = (file.window.micros(), file.events_window.micros());
    let n_spans = (window + events_window - 1) / events_window;
    if file.events as i64 * n_spans <= LOOSE_MAX as i64 {
        return Ok(());
    }
    let most = LOOSE_MAX as i64 / n_spans;
    let message = format!(
        "{} exports in every {} of a window of {} are more than the {LOOSE_MAX} that are kept of a user: \
         at most {most} are possible with these windows",
        file.events, file.events_window, file.window
    );
    Err(ConfigError::new("events", message))
}
