//! Values that must not be shown.

/// What stands in a secret's place.
const MASK: &str = "***";

/// Whether a librdkafka property holds a secret.
fn is_secret(property: &str) -> bool {
    ["password", "secret", "key.pem", "oauthbearer.config", "token"]
        .iter()
        .any(|mark| property.contains(mark))
}

/// The value as it may be printed.
pub(crate) fn shown<'a>(property: &str, value: &'a str) -> &'a str {
    if is_secret(property) { MASK } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_librdkafka_are_masked() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
        ] {
            assert_eq!(shown(name, "hunter2"), "***", "{name}");
        }
        assert_eq!(shown("security.protocol", "ssl"), "ssl");
    }
}
