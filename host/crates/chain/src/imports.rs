//! What the host does for a plugin: log lines, and cryptography with keys that it never sees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::abi::audit_host::plugin::{crypto, log, types};
use crate::limits::{Limits, Meter};
use crate::wasi::Virtual;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a log line that are kept.
const LOG_LINE_BYTES_MAX: usize = 1024;
/// Log lines of one call that are kept: a plugin that logs a line a row must not bury the others.
const LOG_LINES_MAX: u32 = 100;

/// A secret. Has neither `Display` nor `Serialize`, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key(Arc<[u8]>);

impl Key {
    pub fn new(secret: &[u8]) -> Self {
        Self(secret.into())
    }
}

impl Key {
    /// By which a changed secret is noticed; nothing of the secret follows from it.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update(b"audit-host key").chain_update(&self.0).finalize();
        hex::encode(digest.get(..8).unwrap_or_default())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The keys that a plugin may use, by name.
pub type Keys = BTreeMap<String, Key>;

/// The host's side of one plugin instance.
pub(crate) struct Guest {
    pub(crate) plugin: String,
    pub(crate) keys: Keys,
    pub(crate) meter: Meter,
    pub(crate) wasi: Virtual,
    /// The last error that it logged in this call: a panic says there what a trap does not.
    pub(crate) last_words: Option<String>,
    log_lines: u32,
}

impl Guest {
    pub(crate) fn new(plugin: String, keys: Keys, limits: Limits) -> Self {
        let (meter, wasi) = (Meter::new(limits), Virtual::default());
        Self { plugin, keys, meter, wasi, last_words: None, log_lines: 0 }
    }

    /// To be called before every call into the guest.
    pub(crate) fn begin_call(&mut self) {
        if self.log_lines > LOG_LINES_MAX {
            let dropped = self.log_lines - LOG_LINES_MAX;
            tracing::warn!(plugin = self.plugin, dropped, "log lines of a plugin were dropped");
        }
        self.log_lines = 0;
        self.last_words = None;
        self.meter.refused = None;
    }

    /// Takes a line of the guest into the host's log, unless there were too many of them.
    pub(crate) fn log_line(&mut self, level: log::Level, message: &str) {
        self.log_lines = self.log_lines.saturating_add(1);
        if self.log_lines > LOG_LINES_MAX {
            return;
        }
        let plugin = self.plugin.as_str();
        let line = clip(message);
        match level {
            log::Level::Debug => tracing::debug!(plugin, line, "plugin"),
            log::Level::Info => tracing::info!(plugin, line, "plugin"),
            log::Level::Warn => tracing::warn!(plugin, line, "plugin"),
            log::Level::Error => tracing::error!(plugin, line, "plugin"),
        }
        if matches!(level, log::Level::Warn | log::Level::Error) {
            self.last_words = Some(line);
        }
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        self.log_line(level, &message);
    }
}

/// The line without control characters, which could forge lines of their own, cut to its limit.
fn clip(message: &str) -> String {
    let mut line = String::new();
    for character in message.chars() {
        if line.len() + character.len_utf8() > LOG_LINE_BYTES_MAX {
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

impl crypto::Host for Guest {
    fn has_key(&mut self, key: String) -> bool {
        self.keys.contains_key(&key)
    }

    fn keyed_hash(
        &mut self,
        key: String,
        values: types::Utf8ValuesResult,
    ) -> Result<Vec<u8>, crypto::CryptoError> {
        let Some(secret) = self.keys.get(&key) else {
            return Err(crypto::CryptoError::UnknownKey(key));
        };
        let mac = Hmac::<Sha256>::new_from_slice(&secret.0)
            .map_err(|_| crypto::CryptoError::UnknownKey(key))?;
        let n_values = values.offsets.len().saturating_sub(1);
        let mut hashes = Vec::with_capacity(n_values * 32);
        for ends in values.offsets.windows(2) {
            let value = match *ends {
                [start, end] => usize::try_from(start)
                    .ok()
                    .zip(usize::try_from(end).ok())
                    .and_then(|(start, end)| values.values.get(start..end)),
                _ => None,
            };
            let Some(value) = value else {
                let problem = "offsets do not lie within the values".to_owned();
                return Err(crypto::CryptoError::BadInput(problem));
            };
            hashes.extend_from_slice(&mac.clone().chain_update(value).finalize().into_bytes());
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_no_debug_and_lines_are_clipped() {
        assert_eq!(format!("{:?}", Key::new(b"hunter2")), "Key(..)");
        assert_eq!(clip("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(clip(&"é".repeat(2000)).len(), 1024);
    }

    #[test]
    fn keyed_hash_is_hmac_sha256_of_each_value() {
        let keys = Keys::from([("k".to_owned(), Key::new(&[0x0b; 20]))]);
        let mut guest = Guest::new("p".to_owned(), keys, Limits::default());
        let values = |offsets| types::Utf8ValuesResult { offsets, values: b"Hi There".to_vec() };
        let hashes =
            crypto::Host::keyed_hash(&mut guest, "k".to_owned(), values(vec![0, 0, 8])).unwrap();
        // RFC 4231, test case 1.
        assert_eq!(
            hex::encode(&hashes[32..]),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        for bad in [vec![0, 9], vec![-1, 2], vec![5, 2]] {
            assert!(crypto::Host::keyed_hash(&mut guest, "k".to_owned(), values(bad)).is_err());
        }
        assert!(crypto::Host::keyed_hash(&mut guest, "x".to_owned(), values(vec![0])).is_err());
    }
}
