//! Properties of librdkafka that the user gives, among them secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;

/// A property of ours that librdkafka does not know: the token of OAUTHBEARER, always by its file, because a token
/// expires and is written again by whoever gets it.
pub const TOKEN: &str = "sasl.oauthbearer.token";

/// Printed instead of a secret.
const MASK: &str = "***";

/// Properties whose value is not a secret. Everything else that is neither a number nor a boolean is masked, because
/// a password may be given under a misspelled key.
const SHOWN: [&str; 17] = [
    "client.id",
    "client.rack",
    "compression.type",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.sigalgs.list",
];

/// Words in the names of secrets: such a value is masked even if it is a number.
const SECRET_WORDS: [&str; 8] =
    ["assertion", "config", "key", "passphrase", "passw", "pem", "secret", "token"];

/// What the user sets of librdkafka. Secrets are in it, so it has no `Display`, and its `Debug` masks them.
#[derive(Clone, Default)]
pub struct Properties {
    values: BTreeMap<String, String>,
    token_file: Option<PathBuf>,
}

impl Properties {
    /// `token_file` is the file of [`TOKEN`], which is read again before the token expires.
    pub fn new(values: BTreeMap<String, String>, token_file: Option<PathBuf>) -> Self {
        Self { values, token_file }
    }

    /// The value as it may be printed.
    pub fn shown<'a>(property: &str, value: &'a str) -> &'a str {
        if Self::is_secret(property, value) { MASK } else { value }
    }

    /// Whether the value may be a secret: all are, but those that are known not to be.
    pub fn is_secret(property: &str, value: &str) -> bool {
        let is_plain = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
        let is_named = SECRET_WORDS.iter().any(|word| property.contains(word));
        !SHOWN.contains(&property) && (!is_plain || is_named)
    }

    pub(crate) fn get(&self, property: &str) -> Option<&str> {
        self.values.get(property).map(String::as_str)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        for (property, value) in &self.values {
            config.set(property, value);
        }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.values.iter().map(|(name, value)| (name, Self::shown(name, value)));
        f.debug_map().entries(shown).entry(&TOKEN, &self.token_file).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every property of librdkafka 2.12 that holds a secret, or may.
    const SECRETS: [&str; 15] = [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.certificate.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.token",
        "sasl.passwd",
        "sasl.pasword",
    ];

    #[test]
    fn secrets_of_librdkafka_are_masked() {
        for name in SECRETS {
            assert_eq!(Properties::shown(name, "hunter2"), "***", "{name}");
        }
        for name in ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert_eq!(Properties::shown(name, "1234"), "***", "{name}");
        }
        assert_eq!(Properties::shown("security.protocol", "ssl"), "ssl");
        assert_eq!(Properties::shown("ssl.key.location", "/etc/key.pem"), "/etc/key.pem");
        assert_eq!(Properties::shown("fetch.wait.max.ms", "100"), "100");
    }

    #[test]
    fn secrets_have_no_debug() {
        let values = SECRETS.map(|name| (name.to_owned(), "hunter2".to_owned()));
        let properties = Properties::new(values.into(), Some("/run/token".into()));
        let shown = format!("{properties:?}");
        assert!(!shown.contains("hunter2") && shown.contains("/run/token"), "{shown}");
    }
}
