//! Searches a text, as it is written and with its encodings undone.

use std::ops::Range;

use super::fold::{self, Folded};
use super::groups::Group;
use super::kind::{Kind, Kinds, Match};
use super::label::Label;
use super::word::Wrapped;
use super::work::Work;
use super::{email, iban, ipv6, number, secret, value, word};

/// Finds matches, in order and without overlap. Reuses its buffers.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// The work that is left for the value which the texts are part of. Once it is exhausted, nothing is found any more.
    pub(crate) work: Work,
    matches: Vec<Match>,
    groups: Vec<Group>,
    gaps: Vec<Range<usize>>,
}

/// How many times the gaps between matches are searched again.
const ROUNDS_MAX: usize = 16;
/// How many layers of percent-encoding are undone.
const FOLDS_MAX: usize = 3;

/// What a text costs before its first byte is looked at.
const TEXT_COST: usize = 16;
/// What sorting and merging cost for each match.
const MATCH_COST: usize = 16;
/// What looking for an account number costs, behind letters that could be a country.
const IBAN_COST: usize = 32;

/// Whether anything starts at a byte, or stands around it.
const fn is_of_interest(byte: u8) -> bool {
    const INTERESTING: [bool; 256] = {
        let mut interesting = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let is_sign = matches!(byte as u8, b'@' | b'%' | b':' | b'=');
            interesting[byte] = is_sign || word::is_part(byte as u8);
            byte += 1;
        }
        interesting
    };
    INTERESTING[byte as usize]
}

impl Finder {
    /// All matches of the enabled kinds. The gaps are searched again on their own: without an address, the
    /// text right after it may be one as well.
    pub(crate) fn find(&mut self, text: &[u8], label: Option<Label>, kinds: Kinds) -> &[Match] {
        self.matches.clear();
        let kinds = if label == Some(Label::Version) { kinds.without(Kind::Ip) } else { kinds };
        let labelled = label.and_then(|label| value::in_json(label, text.trim_ascii()));
        if let Some(kind) = labelled.filter(|&kind| kinds.has(kind)) {
            self.matches.push(Match::new(0, text.len(), kind));
        }
        self.scan(text, 0, kinds, word::LAYERS_MAX);
        for _ in 0..ROUNDS_MAX {
            if self.work.is_exhausted() {
                self.matches.clear();
                return &self.matches;
            }
            self.merge();
            let n_found = self.matches.len();
            self.scan_gaps(text, kinds);
            if self.matches.len() == n_found {
                return &self.matches;
            }
        }
        // So many layers are intentional.
        let kind = self.matches.first().map_or(Kind::Unreadable, |found| found.kind);
        let everything = Match { is_merged: true, ..Match::new(0, text.len(), kind) };
        self.matches.clear();
        self.gaps.clear();
        self.matches.push(everything);
        &self.matches
    }

    /// The matches that were found last, to be kept while other text is searched.
    pub(crate) fn take_matches(&mut self) -> Vec<Match> {
        std::mem::take(&mut self.matches)
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&mut self, matches: Vec<Match>) {
        self.matches = matches;
    }

    /// The gaps around the matches of a text: the whole text if there are none.
    pub(crate) fn rest(
        &mut self,
        text: &[u8],
        label: Option<Label>,
        kinds: Kinds,
    ) -> Vec<Range<usize>> {
        if self.find(text, label, kinds).is_empty() {
            return vec![Range { start: 0, end: text.len() }];
        }
        // The last round computed them.
        self.gaps.clone()
    }

    /// The first kind in text that was encoded in another.
    fn kind_in(text: &[u8], kinds: Kinds, layers: usize, work: &mut Work) -> Option<Kind> {
        let mut finder = Self { work: std::mem::take(work), ..Self::default() };
        finder.scan(text, 0, kinds, layers);
        *work = finder.work;
        finder.matches.iter().map(|found| found.kind).min()
    }

    /// Searches a part of a text that starts at an offset, as it is written and with its encodings undone.
    fn scan(&mut self, text: &[u8], offset: usize, kinds: Kinds, layers: usize) {
        if self.work.is_exhausted() {
            return;
        }
        let n_before = self.matches.len();
        self.scan_layer(text, kinds, layers);
        for found in &mut self.matches[n_before..] {
            found.start += offset;
            found.end += offset;
        }
        let mut next = Folded::of(text, &mut self.work);
        for _ in 0..FOLDS_MAX {
            let Some(folded) = next.filter(|_| !self.work.is_exhausted()) else {
                return;
            };
            let n_before = self.matches.len();
            self.scan_layer(&folded.bytes, kinds, layers);
            for found in &mut self.matches[n_before..] {
                found.start = offset + folded.origin(found.start);
                found.end = offset + folded.origin(found.end);
                found.is_merged = true;
            }
            next = folded.again(&mut self.work);
        }
        if next.is_some() {
            let everything = Match::new(offset, offset + text.len(), Kind::Unreadable);
            self.matches.push(Match { is_merged: true, ..everything });
        }
    }

    /// Searches a text as it is, and with spaces where forms write `+`. The first finds `bob+tag@x.com`, the
    /// second `4111+1111+1111+1111`.
    fn scan_layer(&mut self, text: &[u8], kinds: Kinds, layers: usize) {
        self.scan_plain(text, kinds, layers);
        if self.work.is_exhausted() {
            return;
        }
        let Some(spaced) = fold::without_plus(text, &mut self.work) else {
            return;
        };
        let n_before = self.matches.len();
        self.scan_plain(&spaced, kinds, layers);
        for found in &mut self.matches[n_before..] {
            found.is_merged = true;
        }
    }

    fn scan_plain(&mut self, text: &[u8], kinds: Kinds, layers: usize) {
        self.work.charge(TEXT_COST + text.len());
        let mut at = 0;
        // Numbers, addresses and words are taken as a whole, so they are not checked again from the middle.
        let (mut numbers_from, mut ipv6_from, mut words_from, mut values_from) = (0, 0, 0, 0);
        while let Some(&byte) = text.get(at) {
            let is_in_word = at < words_from && byte.is_ascii_alphabetic();
            if is_in_word || !is_of_interest(byte) {
                at += 1;
                continue;
            }
            if self.work.is_exhausted() {
                return;
            }
            if at >= words_from && word::is_part(byte) {
                let wrapped = Wrapped { kinds, layers, search: Self::kind_in };
                words_from = word::at(text, at, wrapped, &mut self.work, &mut self.matches);
            }
            match byte {
                b'@' if kinds.has(Kind::Email) => {
                    self.matches.extend(email::at(text, at, &mut self.work));
                }
                b'%' if kinds.has(Kind::Email) && text[at..].starts_with(b"%40") => {
                    self.matches.extend(email::at(text, at, &mut self.work));
                }
                b':' | b'=' => {
                    if byte == b':' && kinds.has(Kind::Ip) && at >= ipv6_from {
                        let (found, end) = ipv6::at(text, at, &mut self.work);
                        self.matches.extend(found);
                        ipv6_from = end;
                    }
                    if kinds.has_labels()
                        && at >= values_from
                        && let Some(found) = secret::named(text, at, &mut self.work)
                        && kinds.has(found.kind)
                    {
                        values_from = found.end;
                        self.matches.push(found);
                    }
                }
                b'0'..=b'9' if at >= numbers_from && kinds.has_numbers() => {
                    numbers_from = self.number(text, at, kinds);
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Checks the number that starts at a digit. Returns the position after it.
    fn number(&mut self, text: &[u8], at: usize, kinds: Kinds) -> usize {
        if at >= 2 && text[at - 1].is_ascii_alphabetic() {
            self.work.charge(IBAN_COST);
        }
        if kinds.has(Kind::Iban)
            && let Some((start, end)) = iban::at(text, at)
            && !number::is_in_identifier(text, start)
        {
            self.matches.push(Match::new(start, end, Kind::Iban));
            return end;
        }
        number::at(text, at, kinds, &mut self.groups, &mut self.work, &mut self.matches)
    }

    /// Searches the gaps between matches.
    fn scan_gaps(&mut self, text: &[u8], kinds: Kinds) {
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.clear();
        let mut start = 0;
        for found in &self.matches {
            gaps.push(start..found.start);
            start = found.end;
        }
        // Without a match the whole text would be the gap.
        if start > 0 {
            gaps.push(start..text.len());
        }
        for gap in &gaps {
            self.scan(&text[gap.clone()], gap.start, kinds, word::LAYERS_MAX);
        }
        self.gaps = gaps;
    }

    /// Merges overlapping matches: the rest of one of them could be half of the other.
    fn merge(&mut self) {
        if self.matches.len() < 2 {
            return;
        }
        self.work.charge(MATCH_COST * self.matches.len());
        self.matches.sort_unstable_by_key(|found| (found.start, found.kind, found.is_merged));
        self.matches.dedup_by(|next, before| {
            let overlaps = next.start < before.end;
            if overlaps {
                // A match inside another of the same kind is part of it.
                before.is_merged |= next.end > before.end
                    || (next.start > before.start && next.kind != before.kind);
                before.end = before.end.max(next.end);
                before.kind = before.kind.min(next.kind);
            }
            overlaps
        });
    }
}
