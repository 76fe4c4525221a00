//! Every way to be refused, with the code and the words of the error.

use anyhow::Result;

use super::node::{Node, WRONG_PASSWORD, token};
use super::properties::{address, line, login, mutual, oauth, path_line, tls};

/// One way to be refused.
pub(super) struct Refused {
    pub(super) name: &'static str,
    pub(super) brokers: String,
    pub(super) lines: Vec<String>,
    pub(super) code: &'static str,
    pub(super) words: Vec<String>,
}

impl Refused {
    fn new(
        name: &'static str,
        brokers: &str,
        lines: &[String],
        code: &'static str,
        words: &[&str],
    ) -> Self {
        let (brokers, lines) = (brokers.to_owned(), lines.to_vec());
        let words = words.iter().map(ToString::to_string).collect();
        Self { name, brokers, lines, code, words }
    }
}

pub(super) fn all(node: &Node) -> Result<Vec<Refused>> {
    let mut all = logins(node)?;
    all.extend(certificates(node)?);
    all.extend(protocols(node)?);
    Ok(all)
}

fn logins(node: &Node) -> Result<Vec<Refused>> {
    let wrong = by_file(&node.secret("wrong", WRONG_PASSWORD)?);
    let late = node.secret("late-token", &token(r#""sub":"auditor","#, -60)?)?;
    let odd = node.secret("odd-token", &token("", 3600)?)?;
    let at = address(node.ports.login);
    let refused =
        |name, lines: &[String], code, words: &[&str]| Refused::new(name, &at, lines, code, words);
    let absent = login(node, "PLAIN", &by_file("/no/such/secret"));
    Ok(vec![
        refused("plain", &login(node, "PLAIN", &wrong), "AH-0230", &["sasl.username", "password"]),
        refused("scram", &login(node, "SCRAM-SHA-512", &wrong), "AH-0230", &["credentials"]),
        refused("odd-token", &oauth(node, &odd), "AH-0230", &["token"]),
        refused("late-token", &oauth(node, &late), "AH-0235", &["has expired", &late]),
        refused("no-secret", &absent, "AH-0130", &["/no/such/secret"]),
    ])
}

fn certificates(node: &Node) -> Result<Vec<Refused>> {
    let ports = node.ports;
    let at = |name, port, lines: &[String], code, words: &[&str]| {
        Refused::new(name, &address(port), lines, code, words)
    };
    let trusting = tls(node, "ssl");
    let untrusting =
        [line("security.protocol", "ssl"), path_line("ssl.ca.location", &node.stranger.file)];
    let stranger = mutual(node, &node.stranger.issue("strange-client", &[])?);
    let (expired, other) =
        (["CN=expired", "has expired", "2021"], ["kafka.other.example, not for 127.0.0.1"]);
    Ok(vec![
        at("expired", ports.expired, &trusting, "AH-0231", &expired),
        at("other", ports.other_host, &trusting, "AH-0231", &other),
        at("untrusted", ports.mutual, &untrusting, "AH-0231", &["no authority", "ssl.ca.location"]),
        at("no-client", ports.mutual, &trusting, "AH-0232", &["demands a client certificate"]),
        at("stranger", ports.mutual, &stranger, "AH-0232", &["does not accept"]),
    ])
}

fn protocols(node: &Node) -> Result<Vec<Refused>> {
    let refused = |name, at: &str, lines: &[String], words: &[&str]| {
        Refused::new(name, at, lines, "AH-0233", words)
    };
    let [login_at, mutual_at, open_at] =
        [node.ports.login, node.ports.mutual, node.ports.open_login].map(address);
    let (plaintext, trusting) = ([line("security.protocol", "plaintext")], tls(node, "ssl"));
    // The login where only a certificate is wanted, beside that certificate.
    let mut needless = login(node, "PLAIN", &by_file(&node.secret("needless", WRONG_PASSWORD)?));
    needless.extend(mutual(node, &node.client).split_off(trusting.len()));
    Ok(vec![
        refused("to-tls", &login_at, &plaintext, &["without TLS", "security.protocol"]),
        refused("to-plain", &node.kafka.bootstrap(), &trusting, &["does not speak TLS"]),
        refused("no-login", &mutual_at, &needless, &["wants no login"]),
        refused("tls-to-login", &login_at, &trusting, &["login", "sasl_ssl"]),
        refused("to-login", &open_at, &plaintext, &["login", "security.protocol"]),
    ])
}

fn by_file(path: &str) -> String {
    format!("{{ file = \"{path}\" }}")
}
