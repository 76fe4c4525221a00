//! Checks of configurations. Errors name the key and the valid values.

use std::fmt::Display;

use audit_plugin_sdk::{ConfigError, Span};

use crate::keyed::Limits;

/// The shortest window of a rule.
pub const WINDOW_MIN: Span = Span::from_secs(1);
/// The longest window of a rule.
pub const WINDOW_MAX: Span = Span::from_secs(30 * 86_400);
/// The most that an event's time may be ahead of its Kafka time.
pub const FUTURE_MAX: Span = Span::from_secs(86_400);
/// The highest `max-keys`.
pub const KEYS_MAX: usize = 1_000_000;
/// The default of `state-bytes-max`: with the vectors of a batch and a snapshot being written, a guest
/// stays below the 64 MiB that the host gives it by default.
pub const STATE_BYTES_DEFAULT: usize = 32 << 20;
/// The highest `state-bytes-max`.
pub const STATE_BYTES_MAX: usize = 1 << 30;
/// The lowest `state-bytes-max`: one key with everything that is kept of it must fit.
const STATE_BYTES_MIN: usize = 1 << 20;

/// Checks that a value is in a range, both ends included.
pub fn in_range<T: PartialOrd + Copy + Display>(
    key: &str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(ConfigError::new(key, format!("{value} is not in the range {min} to {max}")))
}

/// Checks that a list of values to match is not empty.
pub fn not_empty(key: &str, values: &[String]) -> Result<(), ConfigError> {
    if values.is_empty() {
        return Err(ConfigError::new(key, "an empty list would never match".to_owned()));
    }
    Ok(())
}

/// The limits of a state, from the keys `max-keys` and `state-bytes-max`.
pub fn limits(
    max_keys: usize,
    state_bytes_max: usize,
    silence_micros: i64,
) -> Result<Limits, ConfigError> {
    in_range("max-keys", max_keys, 1, KEYS_MAX)?;
    in_range("state-bytes-max", state_bytes_max, STATE_BYTES_MIN, STATE_BYTES_MAX)?;
    Ok(Limits { keys: max_keys, bytes: state_bytes_max, silence_micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(in_range("k", 1, 1, 2).is_ok() && in_range("k", 2, 1, 2).is_ok());
        let error = in_range("window", Span::from_secs(0), WINDOW_MIN, WINDOW_MAX).unwrap_err();
        let expected = ("window", "0s is not in the range 1s to 30d");
        assert_eq!((&*error.key, &*error.message), expected);
        assert!(in_range("k", f64::NAN, 0.0, 1.0).is_err());
        assert_eq!(not_empty("actions", &[]).unwrap_err().key, "actions");
        assert_eq!(limits(0, STATE_BYTES_DEFAULT, 1).unwrap_err().key, "max-keys");
        assert_eq!(limits(1, 1023, 1).unwrap_err().key, "state-bytes-max");
        assert!(limits(KEYS_MAX, STATE_BYTES_MAX, 1).is_ok());
    }
}
