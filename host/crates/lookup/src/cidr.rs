//! Networks, and the longest prefix that holds an address.
//!
//! IPv4 stands among the IPv6 addresses that are mapped to it (RFC 4291, 2.5.5.2), so that one number
//! line holds both, and `::ffff:10.0.0.1` is found in `10.0.0.0/8`. Prefixes either hold one another or
//! have nothing in common; so the line falls into pieces, each with the longest prefix that covers it,
//! and looking up is one binary search.

use std::net::IpAddr;

use crate::index::Groups;

/// A network: its first address, and the bits that all its addresses share. Ordered so that a network
/// stands before those within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    first: u128,
    prefix: u8,
}

impl Network {
    /// `10.0.0.0/8` or `2001:db8::/32`. The error says what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let no_cidr =
            || "no network in CIDR notation: write 10.0.0.0/8 or 2001:db8::/32".to_owned();
        let Some((address, prefix)) = text.split_once('/') else {
            let Ok(address) = text.parse::<IpAddr>() else { return Err(no_cidr()) };
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return Err(format!("an address without a prefix: write /{bits} behind it"));
        };
        let address: IpAddr = address.parse().map_err(|_| no_cidr())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        // `parse` alone would take a sign.
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse::<u8>().ok().filter(|bits| is_number && *bits <= bits_max);
        let Some(prefix) = prefix else {
            return Err(format!("its prefix must be a number from 0 to {bits_max}"));
        };
        let first = number_of(address);
        let network = Self { first, prefix: prefix + (128 - bits_max) };
        if first & network.hosts() != 0 {
            return Err(format!(
                "the address has bits behind its prefix: the network is {}/{prefix}",
                address_of(first & !network.hosts(), bits_max == 32)
            ));
        }
        Ok(network)
    }

    /// The bits that tell the addresses of the network apart.
    fn hosts(self) -> u128 {
        u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0)
    }

    fn last(self) -> u128 {
        self.first | self.hosts()
    }
}

#[inline]
fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address_of(number: u128, is_v4: bool) -> IpAddr {
    if is_v4 { IpAddr::V4((number as u32).into()) } else { IpAddr::V6(number.into()) }
}

/// The pieces of the number line.
#[derive(Debug)]
pub(crate) struct Prefixes {
    /// Where each piece begins.
    starts: Vec<u128>,
    /// The longest prefix of each piece, as a group; `None` where there is none.
    longest: Vec<Option<u32>>,
    /// By group the next shorter prefix that holds it.
    parents: Vec<Option<u32>>,
}

impl Prefixes {
    /// `network` gives the network of a group; groups are in the order of networks.
    pub(crate) fn new(n_groups: u32, network: impl Fn(u32) -> Network) -> Self {
        let mut line = Self { starts: Vec::new(), longest: Vec::new(), parents: Vec::new() };
        let mut open: Vec<(u128, u32)> = Vec::new();
        for group in 0..n_groups {
            let network = network(group);
            line.close(&mut open, Some(network.first));
            line.parents.push(open.last().map(|(_, holder)| *holder));
            line.begin(network.first, Some(group));
            open.push((network.last(), group));
        }
        line.close(&mut open, None);
        line
    }

    /// Ends the prefixes that lie before an address, or all.
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
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1/128", "1.2.3.4/32"] {
            assert!(Network::parse(text).is_ok(), "{text}");
        }
        for (text, says) in [
            ("", "no network"),
            ("office", "no network"),
            ("10.0.0.0", "write /32 behind it"),
            ("::1", "write /128 behind it"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0/8", "no network"),
            ("10.1.2.3/8", "the network is 10.0.0.0/8"),
            ("2001:db8::1/32", "the network is 2001:db8::/32"),
            ("0.0.0.1/0", "the network is 0.0.0.0/0"),
            ("010.0.0.0/8", "no network"),
        ] {
            let said = Network::parse(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn mapped_addresses_are_those_that_they_stand_for() {
        let v4 = Network::parse("10.0.0.0/8").unwrap();
        assert_eq!(v4, Network::parse("::ffff:10.0.0.0/104").unwrap());
        assert!(v4 > Network::parse("::/0").unwrap());
    }
}
