//! IPv6 addresses, RFC 4291 section 2.2: eight groups of up to four hexadecimal digits, or fewer with
//! one `::`, the last two of which may be written as an IPv4 address.

use super::byte::{before, is_alphanumeric};
use super::kind::{Kind, Match};
use super::work::Work;

const GROUPS: usize = 8;

/// The address around a colon, and where the search for more goes on.
pub(super) fn at(text: &[u8], colon: usize, work: &mut Work) -> (Option<Match>, usize) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let left = text[..colon].iter().rev().take_while(|&&byte| is_part(byte)).count();
    let right = text[colon..].iter().take_while(|&&byte| is_part(byte)).count();
    // Groups are counted with and without the first, and checked one by one.
    work.charge(8 + 4 * (left + right));
    let (mut start, mut end) = (colon - left, colon + right);
    let next = end;
    // `ip:2001:db8::1` and `2001:db8::1: refused`: a colon beside belongs to the words.
    if text[start] == b':' && text.get(start + 1) != Some(&b':') {
        start += 1;
    }
    if text[end - 1] == b':' && text.get(end.wrapping_sub(2)) != Some(&b':') {
        end -= 1;
    }
    if start >= end || text[start..end].split(|&byte| byte == b':').count() < 3 {
        return (None, next);
    }
    if is_alphanumeric_or_underline(before(text, start)) {
        return (None, next);
    }
    let end = with_ipv4(text, start, end, work);
    if is_alphanumeric_or_underline(text.get(end).copied()) {
        return (None, next);
    }
    let found = address_in(text, start, end).map(|start| Match::new(start, end, Kind::Ip));
    (found, next.max(end))
}

fn is_alphanumeric_or_underline(byte: Option<u8>) -> bool {
    is_alphanumeric(byte) || byte == Some(b'_')
}

/// Where the address ends if its last group is the first number of an IPv4 address.
fn with_ipv4(text: &[u8], start: usize, end: usize, work: &mut Work) -> usize {
    let group = text[start..end].iter().rev().take_while(|&&byte| byte != b':').count();
    let tail = text[end - group..]
        .iter()
        .take_while(|&&byte| byte.is_ascii_digit() || byte == b'.')
        .count();
    work.charge(group + 2 * tail);
    let dotted = &text[end - group..end - group + tail];
    let dotted = dotted.strip_suffix(b".").unwrap_or(dotted);
    if is_ipv4(dotted) { end - group + dotted.len() } else { end }
}

fn is_ipv4(text: &[u8]) -> bool {
    let mut n_octets = 0;
    for octet in text.split(|&byte| byte == b'.') {
        let value = octet.iter().take(4).try_fold(0_u32, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
        });
        if octet.is_empty() || octet.len() > 3 || value.is_none_or(|value| value > 255) {
            return false;
        }
        n_octets += 1;
    }
    n_octets == 4
}

/// Where the address starts. Words of hexadecimal letters may stand before it (`add:2001:db8::1`), so
/// one group too many is dropped; many more are a fingerprint, not an address.
fn address_in(text: &[u8], start: usize, end: usize) -> Option<usize> {
    if is_address(&text[start..end]) {
        return Some(start);
    }
    let first = text[start..end].iter().position(|&byte| byte == b':')?;
    let rest = start + first + 1;
    is_address(&text[rest..end]).then_some(rest)
}

fn is_address(text: &[u8]) -> bool {
    let gap = text.windows(2).position(|pair| pair == b"::");
    let n_groups = match gap {
        None => count(text),
        // At least one group is left out.
        Some(gap) => count(&text[..gap])
            .zip(count(&text[gap + 2..]))
            .map(|(left, right)| left + right)
            .filter(|&n_groups| n_groups < GROUPS),
    };
    match (n_groups, gap) {
        // Eight pairs of digits are an EUI-64 identifier (RFC 4291, appendix A).
        (Some(GROUPS), None) => !text.split(|&byte| byte == b':').all(|group| group.len() == 2),
        // Paths such as `a::b` in programs look alike, so short ones need a digit.
        (Some(n_groups), Some(_)) => n_groups > 2 || text.iter().any(u8::is_ascii_digit),
        _ => false,
    }
}

/// The number of groups in a part without a gap. `None` where one is not a group.
fn count(part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    let mut n_groups = 0;
    for group in part.split(|&byte| byte == b':') {
        n_groups += match group.len() {
            1..=4 if group.iter().all(u8::is_ascii_hexdigit) => 1,
            _ if is_ipv4(group) => 2,
            _ => return None,
        };
    }
    Some(n_groups)
}
