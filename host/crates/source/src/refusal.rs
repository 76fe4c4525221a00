//! What librdkafka says when a broker and this program do not agree on how to talk: it has one error code for most of
//! these, and tries again for ever. Its words tell them apart.

use crate::error::Error;

/// A connection that fails for a reason that trying again does not remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `host:port`.
    pub(crate) broker: String,
    pub(crate) why: Why,
    /// librdkafka's words, without the broker and without how long it took.
    pub(crate) words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The broker does not accept name, password or token, or has not the mechanism.
    Login,
    /// This program does not accept the broker's certificate.
    Certificate,
    /// The broker does not accept ours, or misses it.
    ClientCertificate,
    /// It does not speak TLS.
    SpeaksNoTls,
    /// Without a login the broker closes the connection, and with one where it wants none it refuses.
    WantsLogin,
    WantsNoLogin,
    /// The connection was closed in the handshake of TLS.
    ClosedInHandshake,
    /// The connection was closed at the first question, which was not in TLS.
    ClosedAtOnce,
    /// Any other failure of TLS.
    Handshake,
}

/// Parts of librdkafka's texts, and what each means. The first that is found counts.
const MEANINGS: [(&str, Why); 13] = [
    ("Request not valid in current SASL state", Why::WantsNoLogin),
    ("SASL authentication error", Why::Login),
    ("mechanism handshake failed", Why::Login),
    ("certificate verify failed", Why::Certificate),
    ("Failed to verify broker certificate", Why::Certificate),
    ("Broker did not provide a certificate", Why::Certificate),
    ("alert certificate required", Why::ClientCertificate),
    ("alert bad certificate", Why::ClientCertificate),
    ("alert certificate unknown", Why::ClientCertificate),
    ("alert certificate expired", Why::ClientCertificate),
    ("alert unknown ca", Why::ClientCertificate),
    ("client SSL authentication might be required", Why::ClientCertificate),
    ("wrong version number", Why::SpeaksNoTls),
];

impl Why {
    /// Whether the same is said of a broker that is going down, or of a token that expired in use. Such a refusal means
    /// something only before the first answer, and only if it stays.
    pub(crate) fn is_guess(self) -> bool {
        use Why::{ClosedAtOnce, ClosedInHandshake, WantsLogin, WantsNoLogin};
        matches!(self, ClosedInHandshake | ClosedAtOnce | WantsLogin | WantsNoLogin)
    }
}

/// A handshake that fails, or a connection that the broker closed, by how far it had come: to the handshake, to the
/// first question, or to the end, where only a login may be missing.
fn broken_off(line: &str) -> Option<Why> {
    let is_tls = line.contains("ssl://");
    if line.contains("SSL handshake failed") {
        // "SSL routines" is OpenSSL's own judgment; the rest is about the connection.
        let is_judged = line.contains("SSL routines") && !line.contains("unexpected eof");
        return Some(if is_judged { Why::Handshake } else { Why::ClosedInHandshake });
    }
    let (_, rest) = line.split_once("Disconnected")?;
    if rest.contains("in state APIVERSION_QUERY") && !is_tls {
        Some(Why::ClosedAtOnce)
    } else if rest.contains("in state UP") && !line.contains("sasl_") {
        Some(Why::WantsLogin)
    } else {
        None
    }
}

/// Whether a line reports a connection that was not even made.
pub(crate) fn is_unconnected(line: &str) -> bool {
    line.contains("Connect to ") && line.contains(" failed: ")
}

/// The broker as `host:port`, and what follows. The client, or what it wants of the broker, may stand before it:
/// `audit-host#consumer-1: GroupCoordinator: HOST:PORT: WORDS`.
fn broker_in(line: &str) -> Option<(String, &str)> {
    let (name, rest) = line.split_once(": ")?;
    let (_, address) = name.split_once("://").unwrap_or(("", name));
    let address = address.split('/').next().unwrap_or(address);
    let is_broker = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if is_broker { Some((address.to_owned(), rest)) } else { broker_in(rest) }
}

impl Refusal {
    /// Reads an error or a log line, such as `[thrd:NAME]: sasl_ssl://HOST:PORT/bootstrap: WORDS (after 5ms in …)`.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let found = MEANINGS.iter().find(|(part, _)| line.contains(part));
        let why = found.map(|(_, why)| *why).or_else(|| broken_off(line))?;
        // A log line names the thread first, which has the broker's name too.
        let (_, rest) = line.rsplit_once("]: ").unwrap_or(("", line));
        let (broker, words) = broker_in(rest)?;
        let words = words.rsplit_once(" (after ").map_or(words, |(words, _)| words);
        let words = words.strip_prefix("SASL authentication error: ").unwrap_or(words);
        Some(Self { broker, why, words: words.trim().to_owned() })
    }

    /// The error that ends a start; `has_certificate` tells whether this program has one to show, and `certificate`
    /// what is wrong with the broker's, if that was looked at.
    pub(crate) fn into_error(self, has_certificate: bool, certificate: Option<String>) -> Error {
        let Self { broker, why, words } = self;
        match why {
            Why::Login => Error::Login { broker, words },
            Why::WantsLogin => Error::Protocol {
                broker,
                problem: "closed the connection as if it wanted a login: set security.protocol to \
                          sasl_ssl (or sasl_plaintext), sasl.mechanism and the user",
            },
            Why::Certificate => {
                Error::Certificate { broker, problem: certificate.unwrap_or(words) }
            }
            Why::ClientCertificate => {
                let problem = if has_certificate {
                    format!("does not accept the certificate of ssl.certificate.location ({words})")
                } else {
                    "demands a client certificate, and none is configured".to_owned()
                };
                Error::ClientCertificate { broker, problem }
            }
            Why::WantsNoLogin => Error::Protocol {
                broker,
                problem: "wants no login by password or token on this port: set security.protocol to ssl \
                          (plaintext if it has no TLS either), or name its port with a login",
            },
            Why::ClosedAtOnce => Error::Protocol {
                broker,
                problem: "does not talk without TLS on this port: set security.protocol to ssl, or to \
                          sasl_ssl if it wants a login, or name its port without TLS",
            },
            Why::SpeaksNoTls | Why::ClosedInHandshake => Error::Protocol {
                broker,
                problem: "does not speak TLS on this port: name its port with TLS, or set \
                          security.protocol to plaintext (sasl_plaintext if it wants a login)",
            },
            Why::Handshake => Error::Handshake { broker, words },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, why: Why, words: &str) {
        let read = Refusal::read(line).unwrap();
        assert_eq!((read.broker.as_str(), read.why), ("k.example:9093", why), "{line}");
        assert!(read.words.starts_with(words), "{read:?}");
        assert!(!read.words.contains("(after"), "{read:?}");
    }

    #[test]
    fn the_words_of_librdkafka_tell_what_is_wrong() {
        check(
            "sasl_ssl://k.example:9093/bootstrap: SASL authentication error: Authentication failed during \
             authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 310ms in state AUTH_REQ)",
            Why::Login,
            "Authentication failed during",
        );
        check(
            "[thrd:ssl://k.example:9093/bootstrap]: ssl://k.example:9093/1: SSL handshake failed: \
             ../ssl/statem/statem_clnt.c:1889:tls_process_server_certificate error:0A000086:SSL \
             routines::certificate verify failed: broker certificate could not be verified (after 5ms in state \
             SSL_HANDSHAKE)",
            Why::Certificate,
            "SSL handshake failed",
        );
        check(
            "[thrd:k.example:9093/bootstrap]: k.example:9093/bootstrap: Disconnected: connection closed by peer: \
             receive 0 after POLLIN (after 2ms in state APIVERSION_QUERY)",
            Why::ClosedAtOnce,
            "Disconnected",
        );
        check(
            "ssl://k.example:9093/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state UP)",
            Why::WantsLogin,
            "Disconnected",
        );
        check(
            "sasl_ssl://k.example:9093/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in \
             current SASL state: broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)",
            Why::WantsNoLogin,
            "SASL PLAIN mechanism",
        );
        check(
            "ssl://k.example:9093/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: \
             connecting to a PLAINTEXT broker listener? (after 3ms in state SSL_HANDSHAKE)",
            Why::ClosedInHandshake,
            "SSL handshake failed",
        );
        check(
            "ssl://k.example:9093/bootstrap: SSL handshake failed: ../ssl/record/rec_layer_s3.c:1600:ssl3_read_bytes \
             error:0A000410:SSL routines::sslv3 alert handshake failure (after 3ms in state SSL_HANDSHAKE)",
            Why::Handshake,
            "SSL handshake failed",
        );
        check(
            "audit-host#consumer-1: GroupCoordinator: k.example:9093: SASL authentication error: no (after 1ms in \
             state AUTH_REQ)",
            Why::Login,
            "no",
        );
        let other = "ssl://k:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused";
        assert_eq!(Refusal::read(other), None);
        assert!(is_unconnected(other));
        let logged_in =
            "sasl_ssl://k:1/1: Disconnected: connection closed by peer (after 0ms in state UP)";
        assert_eq!(Refusal::read(logged_in), None);
    }
}
