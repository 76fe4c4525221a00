//! Columns that hold one value which identifies a person, a session or a machine.

use std::net::{IpAddr, SocketAddr};

use crate::action::{self, Action};
use crate::output::{Origin, Output};
use crate::text::{self, Searcher};

/// Replaces a value as a whole if personal data is found in it: `[EMAIL]` in place of a user would make one user
/// of all. Returns whether it did.
pub(crate) fn rewrite(
    searcher: &mut Searcher<'_>,
    value: &[u8],
    action: Action,
    out: &mut Output<'_>,
) -> bool {
    let mark = out.mark();
    if !text::rewrite(searcher, value, out) {
        return false;
    }
    out.rewind(mark);
    if action.needs_key() {
        out.keyed(action, Origin::Column, value);
    } else {
        let mut masked = Vec::new();
        action::mask(value, &mut masked);
        out.literal(&masked);
    }
    true
}

/// Searches a value that is not an address. Addresses stay as they are: detectors count by them.
pub(crate) fn rewrite_address(
    searcher: &mut Searcher<'_>,
    value: &[u8],
    out: &mut Output<'_>,
) -> bool {
    !is_addresses(value) && text::rewrite(searcher, value, out)
}

/// One address, or several as proxies list them, with ports, zones and prefix lengths.
fn is_addresses(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let is_address = |text: &str| {
        let bare = text.split_once(['/', '%']).map_or(text, |(address, _)| address);
        bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
    };
    text.split([',', ' ', ';']).filter(|part| !part.is_empty()).all(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_recognized_as_proxies_write_it() {
        for good in [
            "203.0.113.9",
            "::1",
            "fe80::1%eth0",
            "10.0.0.0/8",
            "10.0.0.1:443",
            "[2001:db8::1]:443",
            "203.0.113.9, 10.0.0.1",
        ] {
            assert!(is_addresses(good.as_bytes()), "{good}");
        }
        for other in
            ["alice@company.com", "4111 1111 1111 1111", "10.0.0.1 by bob@x.com", "123-45-6789"]
        {
            assert!(!is_addresses(other.as_bytes()), "{other}");
        }
    }
}
