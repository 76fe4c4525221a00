//! A Kafka node with a listener for each way to connect, right and wrong.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use audit_tests::broker::{Payload, create_topic_on, send_to};
use audit_tests::case::Case;
use audit_tests::env;
use audit_tests::kafka::{Kafka, Listener, Secured, free_port};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::certificates::{Authority, Certificate, write};

pub(super) const USER: &str = "auditor";
/// What must be found nowhere.
pub(super) const PASSWORD: &str = "correct-horse-battery-staple";
pub(super) const WRONG_PASSWORD: &str = "incorrect-horse-battery-staple";

const EVENT: &[u8] = br#"{"event_timestamp": "2025-06-02T08:00:00Z", "action_type": "LOGIN"}"#;

/// The ports of a node, by what they are for.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    /// TLS, and a login by password or token.
    pub(super) login: u16,
    /// TLS, and a certificate of the client.
    pub(super) mutual: u16,
    /// TLS with a certificate that has expired.
    pub(super) expired: u16,
    /// TLS with the certificate of another host.
    pub(super) other_host: u16,
    /// A login without TLS.
    pub(super) open_login: u16,
}

pub(super) struct Node {
    pub(super) kafka: Kafka,
    pub(super) ports: Ports,
    pub(super) authority: Authority,
    /// Issues certificates that nobody trusts.
    pub(super) stranger: Authority,
    pub(super) client: Certificate,
    /// The certificate of the ports `login` and `mutual`.
    pub(super) broker: Certificate,
    pub(super) expired: Certificate,
    /// Secrets and certificates; no test writes anything else there.
    pub(super) dir: PathBuf,
}

impl Node {
    pub(super) fn start(name: &str) -> Result<Self> {
        let dir = env::folder(name)?;
        let here = ["localhost", "127.0.0.1"];
        let authority = Authority::new(&dir, "authority")?;
        let stranger = Authority::new(&dir, "stranger")?;
        let broker = authority.issue("broker", &here)?;
        let expired = authority.issue_expired("expired", &here)?;
        let other_host = authority.issue("other", &["kafka.other.example"])?;
        let ports = Ports {
            login: free_port()?,
            mutual: free_port()?,
            expired: free_port()?,
            other_host: free_port()?,
            open_login: free_port()?,
        };
        let listener = |name, protocol, port| Listener { name, protocol, port };
        let listeners = [
            listener("LOGIN", "SASL_SSL", ports.login),
            listener("MUTUAL", "SSL", ports.mutual),
            listener("EXPIRED", "SSL", ports.expired),
            listener("OTHER", "SSL", ports.other_host),
            listener("OPEN", "SASL_PLAINTEXT", ports.open_login),
        ];
        let scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|mechanism| format!("{mechanism}=[name={USER},password={PASSWORD}]"));
        let text = |path: &Path| path.display().to_string();
        let plain = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
        );
        let keystores = [&broker, &broker, &expired, &other_host].map(|one| text(&one.both));
        let trusted = text(&authority.file);
        let module = |name: &str| format!("org.apache.kafka.common.security.{name} required;");
        let (scram_module, oauth_module) =
            (module("scram.ScramLoginModule"), module("oauthbearer.OAuthBearerLoginModule"));
        let props = [
            ("ssl.keystore.type", "PEM"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", trusted.as_str()),
            ("listener.name.login.ssl.keystore.location", &keystores[0]),
            ("listener.name.mutual.ssl.keystore.location", &keystores[1]),
            ("listener.name.mutual.ssl.client.auth", "required"),
            ("listener.name.expired.ssl.keystore.location", &keystores[2]),
            ("listener.name.other.ssl.keystore.location", &keystores[3]),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"),
            ("listener.name.open.sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.open.plain.sasl.jaas.config", &plain),
            ("listener.name.login.plain.sasl.jaas.config", &plain),
            ("listener.name.login.scram-sha-256.sasl.jaas.config", &scram_module),
            ("listener.name.login.scram-sha-512.sasl.jaas.config", &scram_module),
            // A session ends with its token.
            ("listener.name.login.oauthbearer.connections.max.reauth.ms", "3600000"),
            ("listener.name.login.oauthbearer.sasl.jaas.config", &oauth_module),
        ];
        let secured = Secured { listeners: &listeners, scram: &scram };
        let kafka = Kafka::start_secured(&env::kafka()?, &dir.join("kafka"), &secured, &props)?;
        let client = authority.issue("client", &[])?;
        Ok(Self { kafka, ports, authority, stranger, client, broker, expired, dir })
    }

    /// A topic of this node with so many records.
    pub(super) fn case(&self, name: &str, n_records: usize) -> Result<Case> {
        create_topic_on(&self.kafka.bootstrap(), name, &[1])?;
        let case = Case { topic: name.to_owned(), n_partitions: 1, dir: env::folder(name)? };
        self.send(&case, n_records)?;
        Ok(case)
    }

    pub(super) fn send(&self, case: &Case, n_records: usize) -> Result<()> {
        let record: (i32, Payload) = (0, Some(EVENT.to_vec()));
        send_to(&self.kafka.bootstrap(), &case.topic, vec![record; n_records])
    }

    /// A file of this node's folder with a secret.
    pub(super) fn secret(&self, name: &str, secret: &str) -> Result<String> {
        Ok(write(&self.dir, name, &format!("{secret}\n"))?.display().to_string())
    }
}

/// A token as Kafka's own validator for tests takes it: a JWT without a signature, which expires in `seconds`.
pub(super) fn token(claims: &str, seconds: i64) -> Result<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let issued = now - i64::try_from(Duration::from_hours(1).as_secs())?;
    let payload = format!(r#"{{{claims}"iat":{issued},"exp":{}}}"#, now + seconds);
    let parts = [r#"{"alg":"none"}"#, &payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    Ok(format!("{}.{}.", parts[0], parts[1]))
}
