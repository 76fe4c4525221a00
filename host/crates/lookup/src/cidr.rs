//! Networks, and the longest prefix that holds an address.
//!
//! IPv4 addresses are handled as IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2), so that one number line
//! holds both, and `::ffff:10.0.0.1` is found in `10.0.0.0/8`. Two prefixes are either nested or disjoint.
//! So the line falls into pieces, each with the longest prefix that covers it, and a lookup is one binary
//! search. If no row of the longest prefix is valid at a time, the next shorter prefix counts.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use crate::index::Groups;

/// A network, IPv4-mapped if it is one of IPv4. Ordered so that a network comes before those within it.
// Invariant: no bits are set behind the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(Ipv6Net);

impl Network {
    /// `10.0.0.0/8` or `2001:db8::/32`. The error says what is expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let not_cidr =
            || "not a network in CIDR notation: write 10.0.0.0/8 or 2001:db8::/32".to_owned();
        let Some((address, prefix)) = text.split_once('/') else {
            let Ok(address) = text.parse::<IpAddr>() else { return Err(not_cidr()) };
            let bits = IpNet::from(address).prefix_len();
            return Err(format!("an address without a prefix: append /{bits}"));
        };
        // The address is parsed by the standard library: `IpNet` accepts octets with leading zeros, which
        // some programs read as octal.
        let address: IpAddr = address.parse().map_err(|_| not_cidr())?;
        // Parsing a number would accept a sign.
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse::<u8>().ok().filter(|_| is_number);
        let network = prefix.and_then(|prefix| IpNet::new(address, prefix).ok());
        let Some(network) = network else {
            let bits_max = IpNet::from(address).max_prefix_len();
            return Err(format!("its prefix must be a number from 0 to {bits_max}"));
        };
        if network.network() != address {
            let network = network.trunc();
            return Err(format!("the address has bits set behind its prefix: write {network}"));
        }
        Ok(Self(match network {
            IpNet::V4(network) => {
                let prefix = network.prefix_len() + (128 - network.max_prefix_len());
                Ipv6Net::new_assert(network.addr().to_ipv6_mapped(), prefix)
            }
            IpNet::V6(network) => network,
        }))
    }

    fn first(self) -> u128 {
        self.0.addr().to_bits()
    }

    fn last(self) -> u128 {
        self.0.broadcast().to_bits()
    }
}

#[inline]
fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits()
}

/// The pieces of the number line.
#[derive(Debug)]
pub(crate) struct Prefixes {
    /// The start of each piece.
    starts: Vec<u128>,
    /// The longest prefix of each piece, as a group. `None` if no prefix covers it.
    longest: Vec<Option<u32>>,
    /// By group: the next shorter prefix that holds it.
    parents: Vec<Option<u32>>,
}

impl Prefixes {
    /// `network` returns the network of a group. Groups are in the order of networks.
    pub(crate) fn new(n_groups: u32, network: impl Fn(u32) -> Network) -> Self {
        let mut line = Self { starts: Vec::new(), longest: Vec::new(), parents: Vec::new() };
        let mut open: Vec<(u128, u32)> = Vec::new();
        for group in 0..n_groups {
            let network = network(group);
            line.close(&mut open, Some(network.first()));
            line.parents.push(open.last().map(|(_, holder)| *holder));
            line.begin(network.first(), Some(group));
            open.push((network.last(), group));
        }
        line.close(&mut open, None);
        line
    }

    /// Closes the prefixes that end before an address, or all of them.
    fn close(&mut self, open: &mut Vec<(u128, u32)>, before: Option<u128>) {
        while let Some((last, _)) = open.pop_if(|(last, _)| before.is_none_or(|at| *last < at)) {
            let holder = open.last().map(|(_, group)| *group);
            if let Some(next) = last.checked_add(1) {
                self.begin(next, holder);
            }
        }
    }

    fn begin(&mut self, start: u128, group: Option<u32>) {
        match (self.starts.last(), self.longest.last_mut()) {
            (Some(last), Some(longest)) if *last == start => *longest = group,
            _ => {
                self.starts.push(start);
                self.longest.push(group);
            }
        }
    }

    /// The row of the longest prefix that holds an address and is valid at a time.
    #[inline]
    pub(crate) fn find(&self, groups: &Groups, address: &str, time: Option<i64>) -> Option<u32> {
        let number = number_of(address.parse().ok()?);
        let piece = self.starts.partition_point(|start| *start <= number).checked_sub(1)?;
        let mut group = *self.longest.get(piece)?;
        while let Some(holder) = group {
            if let Some(row) = groups.row_at(holder, time) {
                return Some(row);
            }
            group = *self.parents.get(holder as usize)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_parsed_strictly() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "2001:DB8::0:0/112",
            "::1/128",
            "1.2.3.4/32",
            "10.0.0.0/08",
            "10.0.0.0/008",
        ] {
            assert!(Network::parse(text).is_ok(), "{text}");
        }
        for (text, says) in [
            ("", "not a network"),
            ("office", "not a network"),
            ("10.0.0.0", "append /32"),
            ("::1", "append /128"),
            ("[::1]/128", "not a network"),
            ("fe80::1%eth0/128", "not a network"),
            ("10.0.0.1:443/32", "not a network"),
            (" 10.0.0.0/8", "not a network"),
            ("10.0.0.0/8 ", "from 0 to 32"),
            ("10.0.0.0/8/8", "from 0 to 32"),
            ("10.0.0.0/255.0.0.0", "from 0 to 32"),
            ("10.0.0.0/264", "from 0 to 32"),
            ("::/256", "from 0 to 128"),
            ("::ffff:1.2.3.4/96", "write ::ffff:0.0.0.0/96"),
            ("::ffff:0:0/95", "write ::fffe:0:0/95"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0/8", "not a network"),
            ("10.1.2.3/8", "write 10.0.0.0/8"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("0.0.0.1/0", "write 0.0.0.0/0"),
            ("010.0.0.0/8", "not a network"),
        ] {
            let said = Network::parse(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4_addresses() {
        let v4 = Network::parse("10.0.0.0/8").unwrap();
        assert_eq!(v4, Network::parse("::ffff:10.0.0.0/104").unwrap());
        assert!(v4 > Network::parse("::/0").unwrap());
        assert_eq!((v4.first(), v4.last()), (0xffff_0a00_0000, 0xffff_0aff_ffff));
    }
}
