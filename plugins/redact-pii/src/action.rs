//! The actions on a value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use audit_plugin_sdk::serde;

use crate::detect::{Kind, is_email};

/// The placeholder for a value that is hidden completely.
pub(crate) const REDACTED: &str = "[REDACTED]";

/// An action on a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Hide most of it and keep its form.
    Mask,
    /// Replace it by a placeholder.
    Redact,
    /// Replace it by null.
    Drop,
    /// Replace it by a keyed hash.
    Hash,
    /// Replace it by a token, which preserves equality.
    Token,
    /// Encrypt it for the subject of the event.
    Encrypt,
    /// Keep the network of an address. Redact anything else.
    Generalise,
    /// Replace the literals of a statement by `?`.
    SqlLiterals,
    /// Leave it unchanged and do not search it.
    Keep,
}

impl Action {
    /// Whether the host performs it, with a key.
    pub(crate) fn needs_key(self) -> bool {
        matches!(self, Self::Hash | Self::Token | Self::Encrypt)
    }
}

/// The prefixes of generalized addresses.
const IPV4_BITS: u32 = 24;
const IPV6_BITS: u32 = 48;
/// The number of stars that mask a secret of any length.
const STARS: &[u8] = b"********";

/// This many characters of a value that is not an email address stay, if it is longer than twice that.
const KEPT_CHARS: usize = 4;

/// Masks a whole value: `a***@example.com`, and `****5678` for anything that is not an email address.
pub(crate) fn mask(value: &[u8], out: &mut Vec<u8>) {
    if is_email(value) {
        mask_email(value, out);
    } else {
        let n_chars = value.iter().filter(|&&byte| is_char_start(byte)).count();
        let n_hidden = if n_chars > 2 * KEPT_CHARS { n_chars - KEPT_CHARS } else { n_chars };
        mask_some(value, |_, index| index < n_hidden, out);
    }
}

/// Masks what a detector found, so that it is not found again.
pub(crate) fn mask_match(kind: Kind, value: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Email => mask_email(value, out),
        Kind::Card | Kind::Ssn | Kind::Phone => mask_digits(value, out),
        Kind::Ip if value.contains(&b':') => mask_ipv6(value, out),
        Kind::Ip => mask_ipv4(value, out),
        Kind::Iban => mask_iban(value, out),
        Kind::Jwt | Kind::ApiKey | Kind::Unreadable => out.extend_from_slice(STARS),
    }
}

/// Writes the network of an address, `203.0.113.0/24`, and `[REDACTED]` for text that is not an address.
pub(crate) fn generalise(value: &[u8], out: &mut Vec<u8>) {
    match network(value) {
        Some((address, bits)) => out.extend_from_slice(format!("{address}/{bits}").as_bytes()),
        None => out.extend_from_slice(REDACTED.as_bytes()),
    }
}

/// Writes the network of an address that was found. If a prefix length follows already, as in `10.1.2.3/16`,
/// no other is added.
pub(crate) fn generalise_match(value: &[u8], behind: &[u8], out: &mut Vec<u8>) -> bool {
    let has_length = matches!(behind, [b'/', b'0'..=b'9', ..]);
    let Some((address, bits)) = network(value) else {
        return false;
    };
    let text = if has_length { address.to_string() } else { format!("{address}/{bits}") };
    out.extend_from_slice(text.as_bytes());
    true
}

fn network(value: &[u8]) -> Option<(IpAddr, u32)> {
    let cut_v4 =
        |address: Ipv4Addr| Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - IPV4_BITS)));
    let address = std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()?;
    Some(match address {
        IpAddr::V4(address) => (cut_v4(address).into(), IPV4_BITS),
        IpAddr::V6(address) => {
            if let Some(mapped) = address.to_ipv4_mapped() {
                (cut_v4(mapped).to_ipv6_mapped().into(), 96 + IPV4_BITS)
            } else {
                let mask = u128::MAX << (128 - IPV6_BITS);
                (Ipv6Addr::from_bits(address.to_bits() & mask).into(), IPV6_BITS)
            }
        }
    })
}

/// The country and the last four stay, and what separates groups.
fn mask_iban(value: &[u8], out: &mut Vec<u8>) {
    let n_chars = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    let mut n_seen = 0;
    for &byte in value {
        if !byte.is_ascii_alphanumeric() {
            out.push(byte);
            continue;
        }
        n_seen += 1;
        out.push(if n_seen <= 2 || n_seen + KEPT_CHARS > n_chars { byte } else { b'*' });
    }
}

/// The first character and the domain stay.
fn mask_email(value: &[u8], out: &mut Vec<u8>) {
    let first = 1 + value.iter().skip(1).take_while(|&&byte| !is_char_start(byte)).count();
    out.extend_from_slice(&value[..first]);
    out.extend_from_slice(b"***@");
    let encoded = value.windows(3).rposition(|bytes| bytes == b"%40").map(|at| at + 3);
    let domain = value.iter().rposition(|&byte| byte == b'@').map(|at| at + 1);
    out.extend_from_slice(&value[domain.or(encoded).unwrap_or(value.len())..]);
}

/// The last four digits stay, and what separates digits.
fn mask_digits(value: &[u8], out: &mut Vec<u8>) {
    let n_digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mut n_seen = 0;
    for &byte in value {
        if byte.is_ascii_digit() {
            n_seen += 1;
            out.push(if n_seen + KEPT_CHARS > n_digits { byte } else { b'*' });
        } else {
            out.push(byte);
        }
    }
}

/// The network stays: `203.0.113.*`.
fn mask_ipv4(value: &[u8], out: &mut Vec<u8>) {
    let end = value.iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1);
    out.extend_from_slice(&value[..end]);
    out.push(b'*');
}

/// Two groups stay, 32 bits, the usual size of a provider's block: `2001:db8:*`.
fn mask_ipv6(value: &[u8], out: &mut Vec<u8>) {
    let gap = value.windows(2).position(|pair| pair == b"::").unwrap_or(value.len());
    let colons = value[..gap].iter().enumerate().filter(|&(_, &byte)| byte == b':');
    let second = colons.map(|(at, _)| at).nth(1).unwrap_or(gap);
    let kept = &value[..second.min(gap)];
    out.extend_from_slice(kept);
    if !kept.is_empty() {
        out.push(b':');
    }
    out.push(b'*');
}

/// Writes `*` for each character that is hidden.
fn mask_some(value: &[u8], is_hidden: impl Fn(u8, usize) -> bool, out: &mut Vec<u8>) {
    let mut n_chars = 0;
    let mut hidden = false;
    for &byte in value {
        if is_char_start(byte) {
            hidden = is_hidden(byte, n_chars);
            n_chars += 1;
            if hidden {
                out.push(b'*');
            }
        }
        if !hidden {
            out.push(byte);
        }
    }
}

fn is_char_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}
