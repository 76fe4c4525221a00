//! Finds personal data in text, by rules with validators instead of patterns alone.
//!
//! The search is one pass over the text that stops at three kinds of byte only: `@`, `:` and the
//! first digit of a number. Every byte is looked at a bounded number of times, whatever the text.

mod card;
mod email;
mod ipv4;
mod ipv6;
mod number;
mod phone;
mod ssn;

use std::ops::Range;

use audit_plugin_sdk::serde;

pub(crate) use card::is_card_number;
pub(crate) use email::is_email;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "lowercase")]
pub(crate) enum Kind {
    /// An e-mail address.
    Email,
    /// A payment card number.
    Card,
    /// A United States social security number.
    Ssn,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A telephone number.
    Phone,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Email, Self::Card, Self::Ssn, Self::Ip, Self::Phone];

    /// What stands in the place of a match that is redacted.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Card => "[CARD]",
            Self::Ssn => "[SSN]",
            Self::Ip => "[IP]",
            Self::Phone => "[PHONE]",
        }
    }
}

/// The detectors that are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds {
    bits: u8,
}

impl Kinds {
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        let bits = kinds.iter().fold(0, |bits, &kind| bits | 1 << kind as u8);
        Self { bits }
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.bits & (1 << kind as u8) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.bits == 0
    }

    fn has_numbers(self) -> bool {
        [Kind::Card, Kind::Ssn, Kind::Ip, Kind::Phone].into_iter().any(|kind| self.has(kind))
    }
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// Made of several matches that overlap, so that it has not the shape of its kind.
    pub(crate) is_merged: bool,
}

impl Match {
    fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start, end, kind, is_merged: false }
    }
}

/// Finds matches, in order and without overlap. Keeps its buffers from text to text.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    matches: Vec<Match>,
    groups: Vec<number::Group>,
    gaps: Vec<Range<usize>>,
}

/// So many times what is left between matches is searched again.
const ROUNDS_MAX: usize = 16;

impl Finder {
    /// All matches of the kinds that are switched on. What is left is searched again by itself: with
    /// an address gone, what stood right behind it may be one too.
    pub(crate) fn find(&mut self, text: &[u8], kinds: Kinds) -> &[Match] {
        self.matches.clear();
        self.scan(text, 0, kinds);
        for _ in 0..ROUNDS_MAX {
            self.merge();
            let n_found = self.matches.len();
            self.scan_gaps(text, kinds);
            if self.matches.len() == n_found {
                return &self.matches;
            }
        }
        // So many layers are made on purpose.
        let everything = Match {
            is_merged: true,
            ..Match::new(
                0,
                text.len(),
                self.matches.first().map_or(Kind::Email, |found| found.kind),
            )
        };
        self.matches.clear();
        self.gaps.clear();
        self.matches.push(everything);
        &self.matches
    }

    /// What is left of a text around its matches: the text itself where there are none.
    pub(crate) fn rest(&mut self, text: &[u8], kinds: Kinds) -> Vec<Range<usize>> {
        if self.find(text, kinds).is_empty() {
            return vec![Range { start: 0, end: text.len() }];
        }
        // The last round left them.
        self.gaps.clone()
    }

    /// Searches a part of a text that starts at an offset.
    fn scan(&mut self, text: &[u8], offset: usize, kinds: Kinds) {
        let n_before = self.matches.len();
        let mut at = 0;
        // Numbers and addresses are taken whole, so they are not looked at again from their middle.
        let (mut numbers_from, mut ipv6_from) = (0, 0);
        while let Some(&byte) = text.get(at) {
            match byte {
                b'@' if kinds.has(Kind::Email) => self.matches.extend(email::at(text, at)),
                b'%' if kinds.has(Kind::Email) && text[at..].starts_with(b"%40") => {
                    self.matches.extend(email::at(text, at));
                }
                b':' if kinds.has(Kind::Ip) && at >= ipv6_from => {
                    let (found, end) = ipv6::at(text, at);
                    self.matches.extend(found);
                    ipv6_from = end;
                }
                b'0'..=b'9' if at >= numbers_from && kinds.has_numbers() => {
                    numbers_from = number::at(text, at, kinds, &mut self.groups, &mut self.matches);
                }
                _ => {}
            }
            at += 1;
        }
        for found in &mut self.matches[n_before..] {
            found.start += offset;
            found.end += offset;
        }
    }

    /// Searches what is left between matches.
    fn scan_gaps(&mut self, text: &[u8], kinds: Kinds) {
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.clear();
        let mut start = 0;
        for found in &self.matches {
            gaps.push(start..found.start);
            start = found.end;
        }
        // Without a match the text itself would be the gap.
        if start > 0 {
            gaps.push(start..text.len());
        }
        for gap in &gaps {
            self.scan(&text[gap.clone()], gap.start, kinds);
        }
        self.gaps = gaps;
    }

    /// Joins matches that overlap: what one of them would leave could be half of the other.
    fn merge(&mut self) {
        if self.matches.len() < 2 {
            return;
        }
        self.matches.sort_unstable_by_key(|found| (found.start, found.kind));
        self.matches.dedup_by(|next, before| {
            let overlaps = next.start < before.end;
            if overlaps {
                before.is_merged |= next.end > before.end || next.start > before.start;
                before.end = before.end.max(next.end);
                before.kind = before.kind.min(next.kind);
            }
            overlaps
        });
    }
}

/// The byte before a position.
fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

fn is_alphanumeric(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn is_letter(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphabetic())
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}
