//! Network addresses: what counts as one origin, and lists of networks.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use audit_plugin_sdk::ConfigError;

use crate::hash::stable_hash;

/// What networks nobody outside can speak from: loopback, private use (RFC 1918), shared by carriers
/// (RFC 6598), link-local, unique local (RFC 4193).
const PRIVATE: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// The most networks of one list, as it is written by hand into the configuration.
const NETWORKS_MAX: usize = 10_000;

/// Where an event came from.
///
/// IPv6 customers get whole networks, so one who changes addresses within a network is one origin: by
/// /64 unless configured. An IPv4 address mapped into IPv6 is that IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An IPv4 address.
    V4(u32),
    /// An IPv6 address.
    V6(u128),
    /// No address: a hashed or tokenised one, or nonsense.
    Other,
}

impl Origin {
    /// Reads the text of an address. A port behind it is none of it, or every connection would come from
    /// another origin: `203.0.113.9:443`, `[2001:db8::1]:443`, `[2001:db8::1]`.
    #[inline]
    pub fn of(text: &[u8]) -> Self {
        let parsed = std::str::from_utf8(text)
            .ok()
            .and_then(|text| IpAddr::from_str(text).ok().or_else(|| without_port(text)));
        match parsed.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => Self::V6(address.to_bits()),
            None => Self::Other,
        }
    }

    /// The text that stands for it, equal for equal origins: `203.0.113.9`, `2001:db8:1:2::/64`, or the
    /// text as it is where it is no address.
    pub fn key(self, text: &[u8], ipv6_prefix: u32) -> Cow<'_, [u8]> {
        match self {
            // Most texts are in this form already: `::ffff:` has a colon, and nothing else is read.
            Self::V4(_) if !text.contains(&b':') => Cow::Borrowed(text),
            Self::V4(bits) => Cow::Owned(Ipv4Addr::from_bits(bits).to_string().into_bytes()),
            Self::V6(bits) => {
                let address = Ipv6Addr::from_bits(bits & mask(ipv6_prefix));
                let text = if ipv6_prefix == 128 {
                    address.to_string()
                } else {
                    format!("{address}/{ipv6_prefix}")
                };
                Cow::Owned(text.into_bytes())
            }
            Self::Other => Cow::Borrowed(crate::event::key(text)),
        }
    }

    /// A number that stands for it, equal for equal origins. Exact for IPv4, and for IPv6 networks up to
    /// /64; otherwise a hash.
    pub fn tag(self, text: &[u8], ipv6_prefix: u32) -> u64 {
        match self {
            // No IPv6 network in use starts with 32 zero bits.
            Self::V4(bits) => u64::from(bits),
            Self::V6(bits) if ipv6_prefix <= 64 => ((bits & mask(ipv6_prefix)) >> 64) as u64,
            Self::V6(bits) => stable_hash(&(bits & mask(ipv6_prefix)).to_be_bytes()),
            Self::Other => stable_hash(text),
        }
    }
}

/// The address of a text that ends in a port or stands in brackets. Those without colon keep their text
/// as key, so none is read of another form than that.
fn without_port(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return Ipv6Addr::from_str(address).ok().filter(|_| is_whole).map(IpAddr::V6);
    }
    let (address, port) = text.split_once(':')?;
    Ipv4Addr::from_str(address).ok().filter(|_| is_port(port)).map(IpAddr::V4)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A list of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    // Invariant: first and last addresses, sorted, none overlaps another.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Reads networks and single addresses: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. An error names
    /// the element of the configuration's key.
    pub fn parse(key: &str, texts: &[String]) -> Result<Self, ConfigError> {
        if texts.len() > NETWORKS_MAX {
            let message = format!("{} networks, more than {NETWORKS_MAX}", texts.len());
            return Err(ConfigError::new(key, message));
        }
        let mut networks = Self::default();
        for (index, text) in texts.iter().enumerate() {
            networks.add(text).map_err(|what| {
                ConfigError::new(&format!("{key}[{index}]"), format!("{text:?} {what}"))
            })?;
        }
        networks.v4 = merged(networks.v4);
        networks.v6 = merged(networks.v6);
        Ok(networks)
    }

    /// Also holds the networks that nobody outside can speak from.
    #[must_use]
    pub fn with_private(mut self) -> Self {
        for text in PRIVATE {
            // The list is written above and read by a test.
            let _ = self.add(text);
        }
        Self { v4: merged(self.v4), v6: merged(self.v6) }
    }

    /// Whether an origin lies in one of the networks.
    #[inline]
    pub fn holds(&self, origin: Origin) -> bool {
        match origin {
            Origin::V4(bits) => is_inside(&self.v4, bits),
            Origin::V6(bits) => is_inside(&self.v6, bits),
            Origin::Other => false,
        }
    }

    /// The error says what is wrong, to stand behind the text.
    fn add(&mut self, text: &str) -> Result<(), String> {
        const WRONG: &str = "is no network: write \"10.0.0.0/8\", \"2001:db8::/32\" or an address";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| WRONG.to_owned())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse::<u32>()
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| format!("has a prefix that is not in the range 0 to {bits}"))?,
            Some(_) => return Err(WRONG.to_owned()),
        };
        // As 128 bits an IPv4 network has a prefix longer by what is before it.
        let (value, length) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), prefix + 96),
            IpAddr::V6(address) => (address.to_bits(), prefix),
        };
        if value & !mask(length) != 0 {
            return Err(format!("has bits set behind its prefix of {prefix}"));
        }
        let last = value | !mask(length);
        match address {
            IpAddr::V4(_) => self.v4.push((value as u32, last as u32)),
            // Addresses mapped into IPv6 are read as IPv4, so their networks are as well.
            IpAddr::V6(address) if length >= 96 && address.to_ipv4_mapped().is_some() => {
                self.v4.push((value as u32, last as u32));
            }
            IpAddr::V6(_) => self.v6.push((value, last)),
        }
        Ok(())
    }
}

/// The bits of a prefix, at most 128.
fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0)
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn is_inside<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= value);
    behind > 0 && value <= ranges[behind - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_has_one_key_and_one_tag() {
        let cases: &[(&str, u32, &str)] = &[
            ("203.0.113.9", 64, "203.0.113.9"),
            ("::ffff:203.0.113.9", 64, "203.0.113.9"),
            ("::FFFF:cb00:7109", 64, "203.0.113.9"),
            ("2001:DB8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::/48"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8::1", 0, "::/0"),
            ("010.0.0.1", 64, "010.0.0.1"),
            ("tok_k1_abc", 64, "tok_k1_abc"),
            ("203.0.113.9:443", 64, "203.0.113.9"),
            ("203.0.113.9:65535", 64, "203.0.113.9"),
            ("[2001:db8:1:2::9]:443", 64, "2001:db8:1:2::/64"),
            ("[2001:db8:1:2::9]", 64, "2001:db8:1:2::/64"),
            ("[::ffff:203.0.113.9]:8080", 64, "203.0.113.9"),
            ("203.0.113.9:", 64, "203.0.113.9:"),
            ("203.0.113.9:http", 64, "203.0.113.9:http"),
            ("203.0.113.9:123456", 64, "203.0.113.9:123456"),
            ("203.0.113.9:1:2", 64, "203.0.113.9:1:2"),
            ("[203.0.113.9]", 64, "[203.0.113.9]"),
            ("[2001:db8::9", 64, "[2001:db8::9"),
            ("[2001:db8::9]x", 64, "[2001:db8::9]x"),
            ("", 64, ""),
        ];
        for (text, prefix, expected) in cases {
            let origin = Origin::of(text.as_bytes());
            let key = origin.key(text.as_bytes(), *prefix);
            assert_eq!(String::from_utf8_lossy(&key), *expected, "{text}");
        }
        let tag = |text: &str, prefix| Origin::of(text.as_bytes()).tag(text.as_bytes(), prefix);
        assert_eq!(tag("::ffff:1.2.3.4", 64), tag("1.2.3.4", 64));
        assert_eq!(tag("2001:db8:1:2::1", 64), tag("2001:db8:1:2::2", 64));
        assert_ne!(tag("2001:db8:1:2::1", 64), tag("2001:db8:1:3::1", 64));
        assert_ne!(tag("2001:db8:1:2::1", 128), tag("2001:db8:1:2::2", 128));
        assert_ne!(tag("tok_a", 64), tag("tok_b", 64));
        assert_eq!(tag("203.0.113.9:50001", 64), tag("203.0.113.9:50002", 64));
    }

    #[test]
    fn networks_hold_their_ends_and_nothing_beside_them() {
        let texts =
            ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "::ffff:1.2.3.0/120"];
        let texts: Vec<String> = texts.map(str::to_owned).into();
        let networks = Networks::parse("ignore-networks", &texts).unwrap();
        let holds = |text: &str| networks.holds(Origin::of(text.as_bytes()));
        for inside in ["10.0.0.0", "10.255.255.255", "10.2.0.1", "192.0.2.7", "1.2.3.255"] {
            assert!(holds(inside), "{inside}");
        }
        for inside in ["2001:db8::", "2001:db8:ffff::1", "::ffff:10.0.0.1"] {
            assert!(holds(inside), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.8", "1.2.4.0", "2001:db9::", "10"] {
            assert!(!holds(outside), "{outside}");
        }
        assert!(!Networks::default().holds(Origin::V4(0)));
        let all = Networks::parse("k", &["0.0.0.0/0".to_owned(), "::/0".to_owned()]).unwrap();
        assert!(all.holds(Origin::V4(u32::MAX)) && all.holds(Origin::V6(u128::MAX)));
    }

    #[test]
    fn private_networks_are_known() {
        let networks = Networks::default().with_private();
        assert_eq!(networks.v4.len() + networks.v6.len(), PRIVATE.len(), "all of them are read");
        let holds = |text: &str| networks.holds(Origin::of(text.as_bytes()));
        assert!(
            ["10.1.2.3", "172.31.255.255", "100.127.255.255", "fd00::1", "::1"]
                .map(holds)
                .iter()
                .all(|is| *is)
        );
        assert!(
            !["172.32.0.0", "100.128.0.0", "8.8.8.8", "2001:db8::1"]
                .map(holds)
                .iter()
                .any(|is| *is)
        );
    }

    #[test]
    fn a_wrong_network_is_named() {
        let cases = [
            ("10.0.0.1/8", "has bits set behind its prefix of 8"),
            ("10.0.0.0/33", "not in the range 0 to 32"),
            ("2001:db8::/129", "not in the range 0 to 128"),
            ("10.0.0.0/+8", "is no network"),
            ("10.0.0.0/", "has a prefix"),
            ("10.0.0/8", "is no network"),
            ("office", "is no network"),
            ("", "is no network"),
        ];
        for (text, what) in cases {
            let texts = ["10.0.0.0/8".to_owned(), text.to_owned()];
            let error = Networks::parse("ignore-networks", &texts).unwrap_err();
            assert_eq!(error.key, "ignore-networks[1]", "{text}");
            assert!(error.message.contains(what), "{text}: {}", error.message);
        }
    }
}
