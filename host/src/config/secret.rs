//! Masking of secrets in what is printed.

/// Printed instead of a secret.
const MASK: &str = "***";

/// Properties of librdkafka whose value is not a secret. Everything else that is neither a number nor a
/// boolean is masked, because a password may be given under a misspelt key.
const SHOWN: [&str; 12] = [
    "client.id",
    "client.rack",
    "compression.type",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
];

/// The value as it may be printed.
pub(crate) fn shown<'a>(property: &str, value: &'a str) -> &'a str {
    let is_plain = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
    if is_plain && !property.contains("password") || SHOWN.contains(&property) {
        value
    } else {
        MASK
    }
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
            "sasl.passwd",
        ] {
            assert_eq!(shown(name, "hunter2"), "***", "{name}");
        }
        assert_eq!(shown("sasl.password", "1234"), "***");
        assert_eq!(shown("security.protocol", "ssl"), "ssl");
        assert_eq!(shown("fetch.wait.max.ms", "100"), "100");
    }
}
