//! The configuration: as written, then checked.

use audit_detect::{
    FUTURE_MAX, LOOSE_MAX, Limits, STATE_BYTES_DEFAULT, WINDOW_MAX, WINDOW_MIN, in_range,
    kept_micros, limits, not_empty,
};
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// After a week a login is hardly the consequence of an attack.
const AFTER_ATTACK_MAX: Span = Span::from_secs(7 * 86_400);

/// Each user has two sightings per window, and half of the room is for users who succeed.
const SPRAY_USERS_MAX: usize = LOOSE_MAX / 4;

/// Shorter prefixes hold several organizations.
const IPV6_PREFIX_MIN: u32 = 16;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    threshold: usize,
    window: Span,
    max_future: Span,
    high_count: usize,
    high_window: Span,
    spray_users: usize,
    spray_window: Span,
    after_attack: Span,
    actions: Vec<String>,
    results: Vec<String>,
    success_results: Vec<String>,
    ipv6_prefix: u32,
    max_keys: usize,
    state_bytes_max: usize,
}

impl Default for File {
    fn default() -> Self {
        Self {
            threshold: 5,
            window: Span::from_secs(3_600),
            max_future: Span::from_secs(300),
            high_count: 10,
            high_window: Span::from_secs(600),
            spray_users: 5,
            spray_window: Span::from_secs(1_200),
            after_attack: Span::from_secs(3 * 3_600),
            actions: vec!["user_login".to_owned()],
            results: vec!["failure".to_owned()],
            success_results: vec!["success".to_owned()],
            ipv6_prefix: 64,
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// More failures than this in a window raise an alert.
    pub(crate) threshold: usize,
    pub(crate) window: Span,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    /// This many failures within `high_window_micros` have high severity.
    pub(crate) high_count: usize,
    pub(crate) high_window_micros: i64,
    /// This many users failing within `spray_window` are a spray. 0 disables the rule.
    pub(crate) spray_users: usize,
    pub(crate) spray_window: Span,
    /// How long after an attack a login is reported. 0 disables the rule.
    pub(crate) after_attack: Span,
    pub(crate) actions: Vec<Vec<u8>>,
    pub(crate) results: Vec<Vec<u8>>,
    pub(crate) success_results: Vec<Vec<u8>>,
    /// IPv6 addresses with this many bits in common are one address.
    pub(crate) ipv6_prefix: u32,
    /// How long a successful login is kept, for late failures that came before it.
    pub(crate) kept_micros: i64,
    pub(crate) limits: Limits,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        in_range("threshold", file.threshold, 1, LOOSE_MAX - 1)?;
        in_range("high-count", file.high_count, 1, LOOSE_MAX)?;
        in_range("window", file.window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("high-window", file.high_window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        if file.spray_users != 0 {
            in_range("spray-users", file.spray_users, 2, SPRAY_USERS_MAX)?;
        }
        in_range("spray-window", file.spray_window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("after-attack", file.after_attack, Span::from_secs(0), AFTER_ATTACK_MAX)?;
        in_range("ipv6-prefix", file.ipv6_prefix, IPV6_PREFIX_MIN, 128)?;
        not_empty("actions", &file.actions)?;
        not_empty("results", &file.results)?;
        not_empty("success-results", &file.success_results)?;
        if let Some(both) = file.success_results.iter().find(|both| file.results.contains(both)) {
            let message = format!("{both:?} is among results as well, and cannot be both");
            return Err(ConfigError::new("success-results", message));
        }
        let kept = [file.window, file.spray_window].map(|window| kept_micros(window.micros()));
        // A late login still finds the attack before it.
        let silence = kept[0].max(kept[1]).max(file.after_attack.micros() + kept_micros(0));
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
        Ok(Self {
            threshold: file.threshold,
            window: file.window,
            max_future_micros: file.max_future.micros(),
            high_count: file.high_count,
            high_window_micros: file.high_window.micros(),
            spray_users: file.spray_users,
            spray_window: file.spray_window,
            after_attack: file.after_attack,
            actions: bytes(file.actions),
            results: bytes(file.results),
            success_results: bytes(file.success_results),
            ipv6_prefix: file.ipv6_prefix,
            kept_micros: kept[0].max(kept[1]),
            limits: limits(file.max_keys, file.state_bytes_max, silence)?,
        })
    }
}
