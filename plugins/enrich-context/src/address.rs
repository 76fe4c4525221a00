//! What kind of address an event came from, by the registries of special purposes of IANA.
//!
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> (RFC 6890 and its updates).

use std::net::{Ipv4Addr, Ipv6Addr};

/// What the longest text of an address may be: 45 bytes of IPv6 and a zone.
const TEXT_BYTES_MAX: usize = 64;

/// The class of text that is no address.
pub(crate) const INVALID: &str = "invalid";

/// The first four bytes of a network, its length in bits, and what it is. Of several that hold an
/// address the first one counts.
const V4: &[([u8; 4], u32, &str)] = &[
    ([10, 0, 0, 0], 8, "private"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 168, 0, 0], 16, "private"),
    ([100, 64, 0, 0], 10, "cgnat"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    // "This network", protocol assignments, relays of 6to4, benchmarks.
    ([0, 0, 0, 0], 8, "reserved"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 88, 99, 0], 24, "reserved"),
    ([198, 18, 0, 0], 15, "reserved"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// The first four groups of a network, its length in bits (at most 64), and what it is.
const V6: &[([u16; 4], u32, &str)] = &[
    ([0xfc00, 0, 0, 0], 7, "private"),
    // Translation for local use only (RFC 8215).
    ([0x64, 0xff9b, 1, 0], 48, "private"),
    ([0xfe80, 0, 0, 0], 10, "link-local"),
    ([0xff00, 0, 0, 0], 8, "multicast"),
    ([0x2001, 0xdb8, 0, 0], 32, "documentation"),
    ([0x3fff, 0, 0, 0], 20, "documentation"),
    // Teredo, which is assigned by its servers, within the protocol assignments.
    ([0x2001, 0, 0, 0], 32, "public"),
    // AS112 and anycast of these assignments are public: no event comes from them.
    ([0x2001, 0, 0, 0], 23, "reserved"),
    // The well-known prefix of translation (RFC 6052) stands for public IPv4 only.
    ([0x64, 0xff9b, 0, 0], 64, "public"),
    ([0x2000, 0, 0, 0], 3, "public"),
];

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
    // A zone says which interface of the sender's: `fe80::1%eth0`.
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    match address.parse::<Ipv6Addr>() {
        Ok(address) if !zone.is_empty() => class_v6(address),
        _ => INVALID,
    }
}

fn class_v4(address: Ipv4Addr) -> &'static str {
    let bits = address.to_bits();
    let holds = |network: &[u8; 4], length: u32| {
        (bits ^ u32::from_be_bytes(*network)) >> (u32::BITS - length) == 0
    };
    let found = V4.iter().find(|(network, length, _)| holds(network, *length));
    found.map_or("public", |(_, _, class)| class)
}

fn class_v6(address: Ipv6Addr) -> &'static str {
    // `::ffff:10.0.0.1` is how a socket of both families writes an IPv4 address.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return class_v4(mapped);
    }
    if address.is_loopback() {
        return "loopback";
    }
    let top = (address.to_bits() >> 64) as u64;
    let holds = |groups: &[u16; 4], length: u32| {
        let network = groups.iter().fold(0, |bits, &group| bits << 16 | u64::from(group));
        (top ^ network) >> (u64::BITS - length) == 0
    };
    let found = V6.iter().find(|(network, length, _)| holds(network, *length));
    // Outside 2000::/3 nothing is assigned to anybody.
    found.map_or("reserved", |(_, _, class)| class)
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn each_network_ends_where_it_ends() {
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
    fn addresses_of_version_6() {
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
            ("64:ff9b:1::1", "private"),
            ("100::1", "reserved"),
            ("2606:4700:4700::1111", "public"),
            ("2606:4700:4700:0:0:0:0:1111", "public"),
            ("2A00:1450:4001::200E", "public"),
            ("4000::1", "reserved"),
        ];
        for (address, expected) in cases {
            assert_eq!(class(address.as_bytes()), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_invalid() {
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
