//! The configuration: as written, then checked.

use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The most failures that are kept for one address. The threshold must stay below.
pub(crate) const FAILURES_PER_ADDRESS_MAX: usize = 1_000;

const WINDOW_MIN: Span = Span::from_secs(1);
const WINDOW_MAX: Span = Span::from_secs(30 * 86_400);
const FUTURE_MAX: Span = Span::from_secs(86_400);
const KEYS_MAX: usize = 1_000_000;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    threshold: usize,
    window: Span,
    max_future: Span,
    high_count: usize,
    high_window: Span,
    actions: Vec<String>,
    results: Vec<String>,
    max_keys: usize,
}

impl Default for File {
    fn default() -> Self {
        Self {
            threshold: 5,
            window: Span::from_secs(3_600),
            max_future: Span::from_secs(300),
            high_count: 10,
            high_window: Span::from_secs(600),
            actions: vec!["user_login".to_owned()],
            results: vec!["failure".to_owned()],
            max_keys: 100_000,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// More failures than this in a window raise an alert.
    pub(crate) threshold: usize,
    /// For messages.
    pub(crate) window: Span,
    pub(crate) window_micros: i64,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    /// So many failures within `high_window_micros` are urgent.
    pub(crate) high_count: usize,
    pub(crate) high_window_micros: i64,
    pub(crate) actions: Vec<Vec<u8>>,
    pub(crate) results: Vec<Vec<u8>>,
    /// The most addresses that are remembered.
    pub(crate) max_keys: usize,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        in_range("threshold", file.threshold, 1, FAILURES_PER_ADDRESS_MAX - 1)?;
        in_range("high-count", file.high_count, 1, FAILURES_PER_ADDRESS_MAX)?;
        in_range("max-keys", file.max_keys, 1, KEYS_MAX)?;
        in_range("window", file.window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("high-window", file.high_window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        not_empty("actions", &file.actions)?;
        not_empty("results", &file.results)?;
        Ok(Self {
            threshold: file.threshold,
            window: file.window,
            window_micros: file.window.micros(),
            max_future_micros: file.max_future.micros(),
            high_count: file.high_count,
            high_window_micros: file.high_window.micros(),
            actions: file.actions.into_iter().map(String::into_bytes).collect(),
            results: file.results.into_iter().map(String::into_bytes).collect(),
            max_keys: file.max_keys,
        })
    }
}

fn in_range<T: PartialOrd + Copy + std::fmt::Display>(
    key: &str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::new(key, format!("{value} is not in the range {min} to {max}")));
    }
    Ok(())
}

fn not_empty(key: &str, values: &[String]) -> Result<(), ConfigError> {
    if values.is_empty() {
        return Err(ConfigError::new(key, "an empty list would never match".to_owned()));
    }
    Ok(())
}
