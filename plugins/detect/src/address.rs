//! Network addresses: what counts as one origin, and lists of networks.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use audit_plugin_sdk::ConfigError;
use ipnet::{IpNet, Ipv6Net};

use crate::event;
use crate::hash::stable_hash;

/// Networks that are not reachable from outside: loopback, private use (RFC 1918), shared by carriers
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

/// The most networks in one list: they are written by hand into the configuration.
const NETWORKS_MAX: usize = 10_000;

/// Where an event came from.
///
/// Customers with IPv6 get whole networks. So all addresses of a network are one origin: of a /64, unless
/// configured otherwise. An IPv4-mapped IPv6 address is that IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An IPv4 address.
    V4(u32),
    /// An IPv6 address.
    V6(u128),
    /// Not an address: hashed, tokenized or malformed text.
    Other,
}

impl Origin {
    /// Parses the text of an address. A port is ignored, or every connection would have another origin:
    /// `203.0.113.9:443`, `[2001:db8::1]:443`, `[2001:db8::1]`.
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

    /// The key of the origin, equal for equal origins: `203.0.113.9`, `2001:db8:1:2::/64`, or the text
    /// itself if it is not an address.
    pub fn key(self, text: &[u8], ipv6_prefix: u32) -> Cow<'_, [u8]> {
        match self {
            // Most IPv4 addresses are in this form already. Other forms (`::ffff:`, a port) have a colon.
            Self::V4(_) if !text.contains(&b':') => Cow::Borrowed(text),
            Self::V4(bits) => Cow::Owned(Ipv4Addr::from_bits(bits).to_string().into_bytes()),
            Self::V6(bits) => {
                let network = network_of(bits, ipv6_prefix);
                let text = if ipv6_prefix == 128 {
                    network.addr().to_string()
                } else {
                    network.to_string()
                };
                Cow::Owned(text.into_bytes())
            }
            Self::Other => Cow::Borrowed(event::key(text)),
        }
    }

    /// A number for the origin, equal for equal origins. Exact for IPv4 and for IPv6 networks up to /64;
    /// otherwise a hash.
    pub fn tag(self, text: &[u8], ipv6_prefix: u32) -> u64 {
        match self {
            // No IPv6 network in use starts with 32 zero bits.
            Self::V4(bits) => u64::from(bits),
            Self::V6(bits) => {
                let network = network_of(bits, ipv6_prefix).addr().to_bits();
                if ipv6_prefix <= 64 {
                    (network >> 64) as u64
                } else {
                    stable_hash(&network.to_be_bytes())
                }
            }
            Self::Other => stable_hash(text),
        }
    }
}

/// The network of an IPv6 address, with the bits after the prefix cleared.
fn network_of(bits: u128, prefix: u32) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), prefix.min(128) as u8).trunc()
}

/// The address of a text with a port or brackets. Texts without a colon are their own key, so no such text
/// is accepted here.
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
    // Invariant: first and last addresses, sorted, without overlaps.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Parses networks and single addresses: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. An error names
    /// the element of the configuration's key.
    pub fn parse(key: &str, texts: &[String]) -> Result<Self, ConfigError> {
        if texts.len() > NETWORKS_MAX {
            let message = format!("{} networks, more than {NETWORKS_MAX}", texts.len());
            return Err(ConfigError::new(key, message));
        }
        let mut networks = Self::default();
        for (index, text) in texts.iter().enumerate() {
            let network = parse(text).map_err(|what| {
                ConfigError::new(&format!("{key}[{index}]"), format!("{text:?} {what}"))
            })?;
            networks.add(network);
        }
        networks.v4 = merged(networks.v4);
        networks.v6 = merged(networks.v6);
        Ok(networks)
    }

    /// Adds the networks that are not reachable from outside.
    #[must_use]
    pub fn with_private(mut self) -> Self {
        // A test parses the whole list.
        for network in PRIVATE.iter().filter_map(|text| parse(text).ok()) {
            self.add(network);
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

    fn add(&mut self, network: IpNet) {
        match network {
            IpNet::V4(network) => {
                self.v4.push((network.network().to_bits(), network.broadcast().to_bits()));
            }
            IpNet::V6(network) => {
                let (first, last) = (network.network(), network.broadcast());
                // IPv4-mapped addresses count as IPv4, so their networks do as well.
                match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                    (Some(first), Some(last)) => self.v4.push((first.to_bits(), last.to_bits())),
                    _ => self.v6.push((first.to_bits(), last.to_bits())),
                }
            }
        }
    }
}

/// A network or a single address. The error is a predicate whose subject is the text.
fn parse(text: &str) -> Result<IpNet, String> {
    const WRONG: &str = "is not a network: write \"10.0.0.0/8\", \"2001:db8::/32\" or an address";
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    // The address is parsed by the standard library: `IpNet` accepts octets with leading zeros, which some
    // programs read as octal.
    let address = IpAddr::from_str(address).map_err(|_| WRONG.to_owned())?;
    let Some(digits) = prefix else { return Ok(IpNet::from(address)) };
    // Parsing a number would accept a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG.to_owned());
    }
    let network = digits.parse().ok().and_then(|prefix| IpNet::new(address, prefix).ok());
    let network = network.ok_or_else(|| {
        let bits_max = IpNet::from(address).max_prefix_len();
        format!("has a prefix that is not in the range 0 to {bits_max}")
    })?;
    if network.network() != address {
        return Err(format!("has bits set behind its prefix of {}", network.prefix_len()));
    }
    Ok(network)
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

    /// What is accepted and which addresses it holds does not follow the parser of a library.
    #[test]
    fn networks_are_parsed_strictly_and_mapped_ones_are_ipv4() {
        let v4 = |first: [u8; 4], last: [u8; 4]| {
            (vec![(u32::from_be_bytes(first), u32::from_be_bytes(last))], vec![])
        };
        let v6 = |first: u128, last: u128| (vec![], vec![(first, last)]);
        let mapped = 0xffff_0000_0000_u128;
        let cases = [
            ("10.0.0.0/08", v4([10, 0, 0, 0], [10, 255, 255, 255])),
            ("10.0.0.0/008", v4([10, 0, 0, 0], [10, 255, 255, 255])),
            ("0.0.0.0/0", v4([0; 4], [255; 4])),
            ("192.0.2.7/32", v4([192, 0, 2, 7], [192, 0, 2, 7])),
            ("::ffff:192.0.2.7", v4([192, 0, 2, 7], [192, 0, 2, 7])),
            ("::ffff:0:0/96", v4([0; 4], [255; 4])),
            ("::FFFF:c000:200/120", v4([192, 0, 2, 0], [192, 0, 2, 255])),
            ("::fffe:0:0/95", v6(mapped - (1 << 32), mapped | 0xffff_ffff)),
            ("::/80", v6(0, mapped | 0xffff_ffff)),
            ("::/0", v6(0, u128::MAX)),
            ("::1", v6(1, 1)),
            (
                "2001:db8::0001:0/112",
                v6((0x2001_0db8 << 96) | 0x1_0000, (0x2001_0db8 << 96) | 0x1_ffff),
            ),
        ];
        for (text, (v4, v6)) in cases {
            let networks = Networks::parse("k", &[text.to_owned()]).expect(text);
            assert_eq!(networks, Networks { v4, v6 }, "{text}");
        }
        for text in [
            "010.0.0.0/8",
            "10.0.0.0/256",
            "10.0.0.0/8 ",
            " 10.0.0.0/8",
            "10.0.0.0/8/8",
            "10.0.0.0/-8",
            "10.0.0.0/0x8",
            "10.0.0.0/255.0.0.0",
            "::ffff:1.2.3.4/96",
            "::ffff:0:0/95",
            "[::1]/128",
            "[::1]",
            "10.0.0.1:443",
            "fe80::1%eth0",
            "00001::/16",
            "1.2.3.4::/64",
            "/8",
        ] {
            assert!(Networks::parse("k", &[text.to_owned()]).is_err(), "{text}");
        }
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
            ("10.0.0.0/+8", "is not a network"),
            ("10.0.0.0/", "has a prefix"),
            ("10.0.0/8", "is not a network"),
            ("office", "is not a network"),
            ("", "is not a network"),
        ];
        for (text, what) in cases {
            let texts = ["10.0.0.0/8".to_owned(), text.to_owned()];
            let error = Networks::parse("ignore-networks", &texts).unwrap_err();
            assert_eq!(error.key, "ignore-networks[1]", "{text}");
            assert!(error.message.contains(what), "{text}: {}", error.message);
        }
    }
}
