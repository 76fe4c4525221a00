//! The class of the address that an event came from, by IANA's special-purpose address registries.
//!
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> (RFC 6890 and its updates).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The longest text of an address: 45 bytes of IPv6 and a zone.
const TEXT_BYTES_MAX: usize = 64;

/// The class of text that is not an address.
pub(crate) const INVALID: &str = "invalid";

/// Networks and their classes. The first one that holds an address counts.
const V4: &[(Ipv4Net, &str)] = &[
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([100, 64, 0, 0], 10), "cgnat"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    // "This network", protocol assignments, 6to4 relays, benchmarks.
    (v4([0, 0, 0, 0], 8), "reserved"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 88, 99, 0], 24), "reserved"),
    (v4([198, 18, 0, 0], 15), "reserved"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// Networks and their classes. The first one that holds an address counts.
const V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    // Translation for local use only (RFC 8215).
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    // Teredo: assigned by its servers, although within the protocol assignments.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "public"),
    // AS112 and the anycast addresses among these assignments are public, but no event comes from them.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved"),
    // The well-known prefix of translation (RFC 6052) only stands for public IPv4.
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 64), "public"),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), "public"),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
    Ipv6Net::new_assert(address, prefix)
}

/// The class of an address.
pub(crate) fn class(text: &[u8]) -> &'static str {
    if text.len() > TEXT_BYTES_MAX {
        return INVALID;
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return INVALID;
    };
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return class_v4(address);
    }
    // A zone names an interface of the sender: `fe80::1%eth0`.
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    match address.parse::<Ipv6Addr>() {
        Ok(address) if !zone.is_empty() => class_v6(address),
        _ => INVALID,
    }
}

fn class_v4(address: Ipv4Addr) -> &'static str {
    let found = V4.iter().find(|(network, _)| network.contains(&address));
    found.map_or("public", |(_, class)| class)
}

fn class_v6(address: Ipv6Addr) -> &'static str {
    // `::ffff:10.0.0.1` is how a dual-stack socket writes an IPv4 address.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return class_v4(mapped);
    }
    let found = V6.iter().find(|(network, _)| network.contains(&address));
    // Outside 2000::/3 nothing is assigned.
    found.map_or("reserved", |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn networks_end_at_their_last_address() {
        let cases = [
            ("9.255.255.255", "public"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("11.0.0.0", "public"),
            ("172.15.255.255", "public"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("172.32.0.0", "public"),
            ("192.167.255.255", "public"),
            ("192.168.1.10", "private"),
            ("192.169.0.0", "public"),
            ("100.63.255.255", "public"),
            ("100.64.0.0", "cgnat"),
            ("100.127.255.255", "cgnat"),
            ("100.128.0.0", "public"),
            ("127.0.0.1", "loopback"),
            ("128.0.0.0", "public"),
            ("169.254.169.254", "link-local"),
            ("169.255.0.0", "public"),
            ("192.0.2.1", "documentation"),
            ("192.0.3.0", "public"),
            ("198.51.100.7", "documentation"),
            ("203.0.113.45", "documentation"),
            ("203.0.114.0", "public"),
            ("0.0.0.0", "reserved"),
            ("192.0.0.8", "reserved"),
            ("198.17.255.255", "public"),
            ("198.18.0.0", "reserved"),
            ("198.19.255.255", "reserved"),
            ("198.20.0.0", "public"),
            ("223.255.255.255", "public"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.0", "reserved"),
            ("255.255.255.255", "reserved"),
            ("8.8.8.8", "public"),
        ];
        for (address, expected) in cases {
            assert_eq!(class(address.as_bytes()), expected, "{address}");
            let mapped = format!("::ffff:{address}");
            assert_eq!(class(mapped.as_bytes()), expected, "{mapped}");
        }
    }

    #[test]
    fn ipv6_addresses() {
        let cases = [
            ("::", "reserved"),
            ("::1", "loopback"),
            ("::2", "reserved"),
            ("fbff::", "reserved"),
            ("fc00::", "private"),
            ("fdff:ffff::1", "private"),
            ("fe00::", "reserved"),
            ("fe80::1", "link-local"),
            ("fe80::1%eth0", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("2001:db9::1", "public"),
            ("3fff:fff::1", "documentation"),
            ("3fff:1000::1", "public"),
            ("2001::1", "public"),
            ("2001:2::1", "reserved"),
            ("2001:200::1", "public"),
            ("64:ff9b::808:808", "public"),
            ("64:ff9b::ffff:ffff:ffff:ffff", "public"),
            ("64:ff9b:0:1::", "reserved"),
            ("64:ff9b:1::1", "private"),
            ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "private"),
            ("64:ff9b:2::", "reserved"),
            ("100::1", "reserved"),
            ("2606:4700:4700::1111", "public"),
            ("2606:4700:4700:0:0:0:0:1111", "public"),
            ("2A00:1450:4001::200E", "public"),
            ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
            ("2000::", "public"),
            ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
            ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "public"),
            ("4000::1", "reserved"),
        ];
        for (address, expected) in cases {
            assert_eq!(class(address.as_bytes()), expected, "{address}");
        }
    }

    #[test]
    fn text_that_is_not_an_address_is_invalid() {
        let long = "1".repeat(1 << 20);
        let texts = [
            "",
            " ",
            "-",
            "localhost",
            "10.0.0",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1 ",
            "10.0.0.1:443",
            "10.0.0.1,10.0.0.2",
            "[::1]",
            "::1%",
            "%eth0",
            "1::2::3",
            "12345::",
            "203.0.113.***",
            &long,
        ];
        for text in texts {
            assert_eq!(class(text.as_bytes()), "invalid", "{text:.20}");
        }
        assert_eq!(class(&[0xff, 0xfe]), "invalid");
    }
}
