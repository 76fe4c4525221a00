//! The configuration: as written, then checked.

use audit_detect::{
    FUTURE_MAX, Limits, Networks, STATE_BYTES_DEFAULT, WINDOW_MAX, WINDOW_MIN, in_range,
    kept_micros, limits,
};
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// A person does not have more addresses in a window. The state of a user must hold all of them.
const ADDRESSES_MAX: usize = 100;

/// Shorter prefixes hold several organizations.
const IPV6_PREFIX_MIN: u32 = 16;

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    addresses: usize,
    window: Span,
    max_future: Span,
    actions: Vec<String>,
    results: Vec<String>,
    ignore_networks: Vec<String>,
    ignore_private: bool,
    ipv6_prefix: u32,
    show_email: bool,
    max_keys: usize,
    state_bytes_max: usize,
}

impl Default for File {
    fn default() -> Self {
        Self {
            addresses: 2,
            window: Span::from_secs(3_600),
            max_future: Span::from_secs(300),
            actions: Vec::new(),
            results: vec!["success".to_owned()],
            ignore_networks: Vec::new(),
            ignore_private: false,
            ipv6_prefix: 64,
            show_email: false,
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// More addresses than this in a window raise an alert.
    pub(crate) addresses: usize,
    pub(crate) window: Span,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    /// Empty: all of them.
    pub(crate) actions: Vec<Vec<u8>>,
    /// Empty: all of them.
    pub(crate) results: Vec<Vec<u8>>,
    /// Addresses that do not count.
    pub(crate) ignored: Networks,
    /// IPv6 addresses with this many bits in common are one address.
    pub(crate) ipv6_prefix: u32,
    pub(crate) show_email: bool,
    pub(crate) limits: Limits,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        in_range("addresses", file.addresses, 1, ADDRESSES_MAX)?;
        in_range("window", file.window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        in_range("ipv6-prefix", file.ipv6_prefix, IPV6_PREFIX_MIN, 128)?;
        let networks = Networks::parse("ignore-networks", &file.ignore_networks)?;
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
        let silence_micros = kept_micros(file.window.micros());
        Ok(Self {
            addresses: file.addresses,
            window: file.window,
            max_future_micros: file.max_future.micros(),
            actions: bytes(file.actions),
            results: bytes(file.results),
            ignored: if file.ignore_private { networks.with_private() } else { networks },
            ipv6_prefix: file.ipv6_prefix,
            show_email: file.show_email,
            limits: limits(file.max_keys, file.state_bytes_max, silence_micros)?,
        })
    }
}
