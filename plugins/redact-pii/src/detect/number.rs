//! Numbers that are written in groups: `4111 1111 1111 1111`, `078-05-1120`, `10.0.0.1`,
//! `(212) 555-0123`. The groups are collected once, then every kind checks them.

use super::byte::{before, is_alphanumeric};
use super::groups::{Group, Number, take_groups};
use super::kind::{Kind, Kinds, Match};
use super::work::Work;
use super::{card, ipv4, phone, ssn};

const UUID_BYTES: usize = 36;

/// The fewest digits that any kind needs: `1.1.1.1`.
const DIGITS_MIN: usize = 4;

/// What it costs that every kind looks at a group: each at a bounded number of digits.
const GROUP_COST: usize = 32;

/// Checks the number that starts at a digit. Returns the position after it.
pub(super) fn at(
    text: &[u8],
    start: usize,
    kinds: Kinds,
    groups: &mut Vec<Group>,
    work: &mut Work,
    found: &mut Vec<Match>,
) -> usize {
    let n_digits = take_groups(text, start, groups);
    let mut end = groups.last().map_or(start + 1, |group| group.end);
    work.charge(2 * (end - start) + GROUP_COST * groups.len());
    if n_digits < DIGITS_MIN {
        return end;
    }
    let mut first = 0;
    while first < groups.len() {
        let number = Number { text, groups, first };
        if kinds.has(Kind::Card)
            && let Some(float_end) = card::float_end(text, groups[first].start)
        {
            work.charge(4 * (float_end - groups[first].start));
            found.push(Match::new(groups[first].start, float_end, Kind::Card));
            end = end.max(float_end);
            first += groups[first..].iter().take_while(|group| group.start < float_end).count();
            continue;
        }
        match number.judge(kinds) {
            Some((kind, n_groups)) if !is_in_identifier(text, groups[first].start) => {
                let n_taken = number.with_card(n_groups, kinds);
                let is_merged = n_taken > n_groups;
                let last = groups[first + n_taken - 1];
                let kind = if is_merged { Kind::Card } else { kind };
                let whole = Match::new(number.start_of(kind), last.end, kind);
                found.push(Match { is_merged, ..whole });
                first += n_taken;
            }
            _ => first += 1,
        }
    }
    end
}

impl Number<'_> {
    /// The first kind that accepts, with the number of groups that it takes.
    fn judge(self, kinds: Kinds) -> Option<(Kind, usize)> {
        let enabled = |kind: Kind| kinds.has(kind).then_some(self);
        let card = || Some((Kind::Card, card::groups(enabled(Kind::Card)?)?));
        let ssn = || Some((Kind::Ssn, ssn::groups(enabled(Kind::Ssn)?)?));
        let ipv4 = || Some((Kind::Ip, ipv4::groups(enabled(Kind::Ip)?)?));
        let phone = || Some((Kind::Phone, phone::groups(enabled(Kind::Phone)?)?));
        // A plus sign belongs to telephone numbers, or is the space before a longer number in a form.
        let signed = || {
            if self.before() != Some(b'+') {
                return None;
            }
            let (kind, n_groups) = phone()?;
            let longer = card().filter(|(_, n_card_groups)| *n_card_groups > n_groups);
            Some(longer.unwrap_or((kind, n_groups)))
        };
        signed().or_else(card).or_else(ssn).or_else(ipv4).or_else(phone)
    }

    /// The groups up to the end of a card number that starts among some groups and goes on after them. A
    /// telephone number that took its first group would leave the rest.
    fn with_card(self, n_groups: usize, kinds: Kinds) -> usize {
        let starts = (1..n_groups).filter(|_| kinds.has(Kind::Card));
        let ends = starts.filter_map(|at| {
            let inner = Number { first: self.first + at, ..self };
            Some(at + card::groups(inner)?)
        });
        ends.max().unwrap_or(0).max(n_groups)
    }

    /// Where a match starts: before the digits, if a sign or a bracket belongs to it.
    fn start_of(self, kind: Kind) -> usize {
        let mut start = self.groups[self.first].start;
        if kind == Kind::Phone {
            while matches!(before(self.text, start), Some(b'(' | b'+')) {
                start -= 1;
            }
        }
        start
    }
}

/// Whether a position lies in a UUID or in a long hexadecimal number with letters: their digits are
/// random, and some would pass for anything.
pub(super) fn is_in_identifier(text: &[u8], at: usize) -> bool {
    const DIGEST_BYTES_MIN: usize = 24;
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let start =
        at - text[..at].iter().rev().take(UUID_BYTES).take_while(|&&byte| is_part(byte)).count();
    let token = &text[start..];
    if let Some(uuid) = token.get(..UUID_BYTES)
        && !is_alphanumeric(before(text, start))
        && !is_alphanumeric(token.get(UUID_BYTES).copied())
        && is_uuid(uuid)
    {
        return true;
    }
    // No further than needed, as there may be many numbers in one run.
    let is_hex = |byte: &&u8| byte.is_ascii_hexdigit();
    let left = text[..at].iter().rev().take(DIGEST_BYTES_MIN).take_while(is_hex).count();
    let right = text[at..].iter().take(2 * DIGEST_BYTES_MIN).take_while(is_hex).count();
    let run = &text[at - left..at + right];
    run.len() >= DIGEST_BYTES_MIN && run.iter().any(u8::is_ascii_alphabetic)
}

/// Eight, four, four, four and twelve hexadecimal digits. All are counted, without a branch for each.
pub(crate) fn is_uuid(token: &[u8]) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let Ok(token) = <&[u8; UUID_BYTES]>::try_from(token) else { return false };
    let n_hex: usize = token.iter().map(|byte| usize::from(byte.is_ascii_hexdigit())).sum();
    n_hex == UUID_BYTES - DASHES.len() && DASHES.iter().all(|&at| token[at] == b'-')
}
