//! `[kafka.properties]` of each way to connect.

use std::path::Path;

use anyhow::Result;

use super::certificates::{Certificate, write};
use super::node::{Node, USER};

/// A configuration file with these lines in `[kafka.properties]`.
pub(super) fn config(dir: &Path, lines: &[String]) -> Result<String> {
    let text = format!("[kafka.properties]\n{}\n", lines.join("\n"));
    Ok(write(dir, "audit-host.toml", &text)?.display().to_string())
}

pub(super) fn line(name: &str, value: &str) -> String {
    format!("\"{name}\" = \"{value}\"")
}

pub(super) fn path_line(name: &str, path: &Path) -> String {
    line(name, &path.display().to_string())
}

/// TLS by this node's authority.
pub(super) fn tls(node: &Node, protocol: &str) -> Vec<String> {
    vec![line("security.protocol", protocol), path_line("ssl.ca.location", &node.authority.file)]
}

/// A login by password; `secret` is the right side of `sasl.password`.
pub(super) fn login(node: &Node, mechanism: &str, secret: &str) -> Vec<String> {
    let mut lines = tls(node, "sasl_ssl");
    lines.push(line("sasl.mechanism", mechanism));
    lines.push(line("sasl.username", USER));
    lines.push(format!("\"sasl.password\" = {secret}"));
    lines
}

pub(super) fn oauth(node: &Node, token_file: &str) -> Vec<String> {
    let mut lines = tls(node, "sasl_ssl");
    lines.push(line("sasl.mechanism", "OAUTHBEARER"));
    lines.push(format!("\"sasl.oauthbearer.token\" = {{ file = \"{token_file}\" }}"));
    lines
}

pub(super) fn mutual(node: &Node, client: &Certificate) -> Vec<String> {
    let mut lines = tls(node, "ssl");
    lines.push(path_line("ssl.certificate.location", &client.certificate));
    lines.push(path_line("ssl.key.location", &client.key));
    lines
}

pub(super) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
