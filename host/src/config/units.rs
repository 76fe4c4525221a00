//! Durations and sizes as people write them.

use std::time::Duration;

use super::error::Error;

/// `5s`, `500ms`, `1h 30m`: jiff's friendly durations, longer than zero.
pub(crate) fn parse_duration(key: &str, text: &str) -> Result<Duration, Error> {
    let parsed: Option<Duration> =
        text.parse::<jiff::SignedDuration>().ok().and_then(|parsed| parsed.try_into().ok());
    parsed
        .filter(|parsed| !parsed.is_zero())
        .ok_or_else(|| Error::Duration { key: key.to_owned(), value: text.to_owned() })
}

pub(super) fn show_duration(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| String::new(), |d| format!("{d:#}"))
}
