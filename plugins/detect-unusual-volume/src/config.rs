//! The configuration: as written, then checked.

use audit_detect::{Limits, STATE_BYTES_DEFAULT, in_range, limits, not_empty};
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

pub(crate) const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

const DAY: Span = Span::from_secs(86_400);
const HISTORY_MAX: Span = Span::from_secs(90 * 86_400);
/// The hours that an hour is compared with must be over: they are at least 23 hours earlier.
const LATE_MAX: Span = Span::from_secs(12 * 3_600);
const FUTURE_MAX: Span = Span::from_secs(6 * 3_600);
const FLOOR_MAX: u32 = 1_000_000;
const FALLBACK_MAX: u32 = 1_000_000_000;

/// Counts below this fraction of the floor are stored as 0.
const FLOOR_PARTS: u32 = 8;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    actions: Vec<String>,
    ignore_users: Vec<String>,
    score: f64,
    ratio: f64,
    floor: u32,
    high_ratio: f64,
    history: Span,
    history_min: Span,
    fallback: u32,
    max_late: Span,
    max_future: Span,
    show_email: bool,
    max_keys: usize,
    state_bytes_max: usize,
}

impl Default for File {
    fn default() -> Self {
        let actions = ["data_read", "data_write", "data_delete", "query_execute", "data_download"]
            .into_iter();
        Self {
            actions: actions.chain(["data_export"]).map(str::to_owned).collect(),
            ignore_users: Vec::new(),
            score: 3.5,
            ratio: 2.5,
            floor: 30,
            high_ratio: 3.0,
            history: Span::from_secs(21 * 86_400),
            history_min: Span::from_secs(14 * 86_400),
            fallback: 200,
            max_late: Span::from_secs(2 * 3_600),
            max_future: Span::from_secs(300),
            show_email: false,
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) actions: Vec<Vec<u8>>,
    pub(crate) ignore_users: Vec<Vec<u8>>,
    /// A modified z-score above this is unusual.
    pub(crate) score: f64,
    /// Up to this many times the median is never unusual.
    pub(crate) ratio: f64,
    /// Fewer events in an hour are never unusual.
    pub(crate) floor: u32,
    /// Fewer events in an hour are stored as 0: they could not raise a limit above the floor.
    pub(crate) kept_min: u32,
    /// More than this many times the limit has high severity.
    pub(crate) high_ratio: f64,
    /// How many days an hour is compared with.
    pub(crate) history_days: i32,
    /// For messages.
    pub(crate) history_min: Span,
    pub(crate) history_min_days: i64,
    /// The lowest limit while less than `history_min` is known.
    pub(crate) fallback: u32,
    pub(crate) max_late_micros: i64,
    pub(crate) max_future_micros: i64,
    /// How many hours before the newest one of a key still accept events.
    pub(crate) open_hours: i32,
    pub(crate) show_email: bool,
    pub(crate) limits: Limits,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        not_empty("actions", &file.actions)?;
        if file.actions.iter().any(|action| action.contains('\0')) {
            let message = "an action with a NUL character: no event has one".to_owned();
            return Err(ConfigError::new("actions", message));
        }
        in_range("score", file.score, 1.0, 100.0)?;
        in_range("ratio", file.ratio, 1.0, 100.0)?;
        in_range("floor", file.floor, 2, FLOOR_MAX)?;
        in_range("high-ratio", file.high_ratio, 1.0, 100.0)?;
        in_range("history", file.history, DAY, HISTORY_MAX)?;
        in_range("history-min", file.history_min, DAY, file.history)?;
        in_range("fallback", file.fallback, file.floor, FALLBACK_MAX)?;
        in_range("max-late", file.max_late, Span::from_secs(0), LATE_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        let apart = file.max_late.micros() + file.max_future.micros();
        let limits = limits(file.max_keys, file.state_bytes_max, file.history_min.micros())?;
        Ok(Self {
            actions: file.actions.into_iter().map(String::into_bytes).collect(),
            ignore_users: file.ignore_users.into_iter().map(String::into_bytes).collect(),
            score: file.score,
            ratio: file.ratio,
            floor: file.floor,
            kept_min: (file.floor / FLOOR_PARTS).max(1),
            high_ratio: file.high_ratio,
            history_days: whole(file.history, DAY_MICROS),
            history_min: file.history_min,
            history_min_days: whole(file.history_min, DAY_MICROS).into(),
            fallback: file.fallback,
            max_late_micros: file.max_late.micros(),
            max_future_micros: file.max_future.micros(),
            open_hours: (apart + HOUR_MICROS - 1).div_euclid(HOUR_MICROS) as i32,
            show_email: file.show_email,
            limits,
        })
    }

    /// The days whose hours are kept: those to compare with, and one that the first belongs to.
    pub(crate) fn kept_days(&self) -> i32 {
        self.history_days + 1
    }
}

/// A span in units, rounded up. The range was checked, so it fits.
fn whole(span: Span, unit_micros: i64) -> i32 {
    (span.micros() / unit_micros + i64::from(span.micros() % unit_micros > 0)) as i32
}
