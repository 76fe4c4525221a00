//! Finds, in one pass over a column, the values that may need a change. Most do not, and are not processed
//! further. False positives are fine, false negatives are not.

use audit_plugin_sdk::Utf8Column;

use crate::detect::label::{self, Label};
use crate::detect::{Kind, Kinds, Work, ends_with_scheme, iban_at, is_uuid, word};
use crate::lanes::{BLOCK, Masks};

/// The largest value that is searched. A longer one is redacted as a whole, so that one event cannot use up
/// the time of its batch.
pub(crate) const VALUE_BYTES_MAX: usize = 1 << 20;

/// The fewest digits of a telephone number, which has a plus sign or separators, or a name before it.
const PHONE_DIGITS_MIN: u32 = 8;
/// The fewest digits of a card number, which may have neither.
const CARD_DIGITS_MIN: u32 = 12;
const IPV4_DOTS: u32 = 3;
/// The most bytes between two groups of digits: `) `.
const GAP_MAX: usize = 2;
/// The fewest digits of a card number that is written with an exponent, `41111111111111110e-1`.
const FLOAT_DIGITS_MIN: u32 = 9;
/// The most hexadecimal digits between two colons of an address.
const IPV6_GROUP_MAX: usize = 4;

/// The parts of the configuration that matter here.
#[derive(Debug)]
pub(crate) struct Prefilter {
    kinds: Kinds,
    /// The last keys of the paths, without quotes: text that is not quite JSON has other quotes or none.
    keys: Vec<Vec<u8>>,
    /// Whether a path may apply with any keys.
    always: bool,
}

impl Prefilter {
    /// `last_keys` has `None` for a path without a key, which may apply to anything.
    pub(crate) fn new<'k>(
        kinds: Kinds,
        last_keys: impl IntoIterator<Item = Option<&'k [u8]>>,
    ) -> Self {
        let mut filter = Self { kinds, keys: Vec::new(), always: false };
        for key in last_keys {
            let bare = key.map(|key| &key[..label::name_end(key, key.len())]);
            match bare.filter(|bare| !bare.is_empty()) {
                Some(bare) => filter.keys.push(bare.to_vec()),
                None => filter.always = true,
            }
        }
        filter
    }

    /// The rows whose values must be searched, in order.
    pub(crate) fn suspects(&self, column: &Utf8Column) -> Vec<usize> {
        if self.always {
            return (0..column.rows()).collect();
        }
        let mut scan = Scan::new(self, column);
        scan.run();
        scan.suspects
    }
}

/// A pass over the values of a column, which lie after each other.
struct Scan<'a> {
    filter: &'a Prefilter,
    bytes: &'a [u8],
    offsets: &'a [i32],
    suspects: Vec<usize>,
    /// The first row that does not start before the block.
    block_row: usize,
    /// The next row.
    next_row: usize,
    /// The range of the row before it.
    start: usize,
    end: usize,
    /// Whether nothing more needs to be known of that row.
    is_decided: bool,
    digits: Digits,
    /// Where the last long word ends that was looked at.
    word_end: usize,
    /// The number of bytes before the block that belong to a word.
    n_word_before: usize,
    /// Whether the byte before the block may end the name of an authentication scheme.
    is_behind_scheme_end: bool,
}

/// The digits of one number so far.
#[derive(Default)]
struct Digits {
    n: u32,
    n_dots: u32,
    /// Whether there are groups, or a plus sign before.
    has_shape: bool,
    /// The end of the last group.
    end: usize,
}

impl<'a> Scan<'a> {
    fn new(filter: &'a Prefilter, column: &'a Utf8Column) -> Self {
        Self {
            filter,
            bytes: column.bytes(),
            offsets: column.offsets(),
            suspects: Vec::new(),
            block_row: 0,
            next_row: 0,
            start: 0,
            end: 0,
            is_decided: false,
            digits: Digits::default(),
            word_end: 0,
            n_word_before: 0,
            is_behind_scheme_end: false,
        }
    }

    fn run(&mut self) {
        let bytes = self.bytes;
        let (blocks, tail) = bytes.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            self.block(index * BLOCK, Masks::of(block));
        }
        let mut block = [0; BLOCK];
        block[..tail.len()].copy_from_slice(tail);
        self.block(blocks.len() * BLOCK, Masks::of(&block));
        self.add_long_values();
    }

    /// Values that are too long to be searched are replaced in any case.
    fn add_long_values(&mut self) {
        if self.bytes.len() <= VALUE_BYTES_MAX {
            return;
        }
        let is_long = |pair: &[i32]| (pair[1] - pair[0]) as usize > VALUE_BYTES_MAX;
        let pairs = self.offsets.windows(2).enumerate();
        self.suspects.extend(pairs.filter(|(_, pair)| is_long(pair)).map(|(row, _)| row));
        self.suspects.sort_unstable();
        self.suspects.dedup();
    }

    /// Processes the relevant bytes of a block, in order.
    fn block(&mut self, base: usize, masks: Masks) {
        let row_starts = self.row_starts(base);
        let digit_starts = masks.digit & (!(masks.digit << 1) | row_starts);
        let mut long_words = self.long_words(masks.word);
        let scheme_ends = masks.scheme_end << 1 | u64::from(self.is_behind_scheme_end);
        self.is_behind_scheme_end = masks.scheme_end >> (BLOCK - 1) != 0;
        let schemes = masks.blank & scheme_ends;
        let others = masks.sign | masks.name | digit_starts | schemes;
        let mut left = others | long_words;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let at = base + bit.trailing_zeros() as usize;
            left ^= bit;
            if at >= self.end && !self.go_to(at) {
                return;
            }
            if !self.is_decided {
                self.is_decided = (masks.sign & bit != 0 && self.is_sign(at))
                    || (masks.name & bit != 0 && self.is_name(at))
                    || (digit_starts & bit != 0
                        && self.is_number(at, Run { base, mask: masks.digit }))
                    || (long_words & bit != 0 && self.is_word(at, Run { base, mask: masks.word }))
                    || (schemes & bit != 0 && self.is_scheme(at));
                if self.is_decided {
                    self.suspects.push(self.next_row - 1);
                } else if long_words & bit != 0 {
                    // The other positions in the word would give the same result.
                    long_words &= from_place(self.word_end.saturating_sub(base));
                    left &= others | long_words;
                }
            }
            if self.is_decided {
                left &= from_place(self.end - base);
            }
        }
    }

    /// Goes on to the row that a place lies in. `false` after the last.
    fn go_to(&mut self, at: usize) -> bool {
        while at >= self.end {
            let Some(&[start, end]) = self.offsets.get(self.next_row..self.next_row + 2) else {
                return false;
            };
            (self.start, self.end) = (start as usize, end as usize);
            self.next_row += 1;
        }
        self.is_decided = is_plain_uuid(&self.bytes[self.start..self.end]);
        at >= self.start
    }

    /// The places of a block where values start.
    fn row_starts(&mut self, base: usize) -> u64 {
        let mut starts = 0;
        while let Some(&start) = self.offsets.get(self.block_row) {
            let Some(place) = (start as usize).checked_sub(base) else {
                self.block_row += 1;
                continue;
            };
            if place >= BLOCK {
                break;
            }
            starts |= 1 << place;
            self.block_row += 1;
        }
        starts
    }

    /// The places from where on a word has enough letters to be looked at, and the first place of the
    /// block if the word there has them with what is before.
    fn long_words(&mut self, word: u64) -> u64 {
        const MIN: usize = word::CHARS_MIN;
        let n_first = word.trailing_ones() as usize;
        let goes_on = n_first > 0 && self.n_word_before > 0 && self.n_word_before + n_first >= MIN;
        self.n_word_before = match n_first {
            BLOCK => self.n_word_before + BLOCK,
            _ => word.leading_ones() as usize,
        };
        let mut runs = word;
        let mut length = 1;
        while length < MIN {
            let step = length.min(MIN - length);
            runs &= runs >> step;
            length += step;
        }
        runs | u64::from(goes_on)
    }

    fn is_sign(&self, at: usize) -> bool {
        match self.bytes[at] {
            b'%' => matches!(
                self.bytes[at + 1..self.end],
                [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
            ),
            b'@' => self.filter.kinds.has(Kind::Email),
            // An escape may hide anything, including the key of a path.
            b'\\' => true,
            _ => !self.filter.kinds.is_empty(),
        }
    }

    /// Whether a name before a colon or an equals sign matters, or the colon is part of an address.
    fn is_name(&self, at: usize) -> bool {
        let value = &self.bytes[self.start..at];
        let name = &value[..label::name_end(value, value.len())];
        let last = name.last();
        let has_path =
            || self.filter.keys.iter().any(|key| key.last() == last && name.ends_with(key));
        let has_label = || {
            let label = label::before(value, value.len(), &mut Work::default());
            self.filter.kinds.has_labels() && label.is_some_and(|label| label != Label::Version)
        };
        let is_colon = self.bytes[at] == b':' && self.filter.kinds.has(Kind::Ip);
        (is_colon && is_second_colon(value)) || has_path() || has_label()
    }

    /// Whether credentials may follow: what follows `Bearer` need have no long word, and what is long
    /// in it need not follow directly.
    fn is_scheme(&self, at: usize) -> bool {
        self.filter.kinds.has(Kind::ApiKey) && ends_with_scheme(&self.bytes[self.start..at])
    }

    /// Counts the digits that start at a position. Returns whether they are enough for a number that
    /// matters.
    fn is_number(&mut self, at: usize, run: Run) -> bool {
        let value = &self.bytes[..self.end];
        if !self.filter.kinds.has_numbers() {
            return false;
        }
        if at < self.digits.end {
            return false;
        }
        let end = run.end(value, at, |byte| byte.is_ascii_digit());
        let digits = &mut self.digits;
        let gap = value.get(digits.end..at).filter(|_| digits.end > self.start).unwrap_or_default();
        let goes_on = digits.end > self.start
            && gap.len() <= GAP_MAX
            && gap.iter().all(|byte| is_separator(*byte));
        if goes_on {
            digits.n_dots += u32::from(matches!(gap, [b'.']));
            digits.has_shape = true;
        } else {
            (digits.n, digits.n_dots) = (0, 0);
            digits.has_shape = matches!(value[self.start..at], [.., b'+'] | [.., b'+', b'(']);
        }
        digits.n += (end - at) as u32;
        digits.end = end;
        (digits.n >= PHONE_DIGITS_MIN && digits.has_shape)
            || digits.n >= CARD_DIGITS_MIN
            || (digits.n >= FLOAT_DIGITS_MIN && matches!(value.get(end), Some(b'e' | b'E')))
            || digits.n_dots >= IPV4_DOTS
            || (self.filter.kinds.has(Kind::Iban) && self.is_iban(at))
    }

    fn is_iban(&self, at: usize) -> bool {
        let value = &self.bytes[self.start..self.end];
        let at = at - self.start;
        let is_behind_country = matches!(
            value[..at],
            [.., first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic()
        );
        is_behind_country && iban_at(value, at).is_some()
    }

    /// Checks the word at a position.
    fn is_word(&mut self, at: usize, run: Run) -> bool {
        if at < self.word_end || self.filter.kinds.is_empty() {
            return false;
        }
        let start = run.start(&self.bytes[self.start..at], at, word::is_part);
        self.word_end = run.end(&self.bytes[..self.end], at, word::is_part);
        let value = &self.bytes[self.start..self.end];
        let (start, end) = (start - self.start, self.word_end - self.start);
        word::may_matter(value, start, end, self.filter.kinds)
    }
}

/// The bytes of a class in a block: a run of them ends where the bits do, unless it leaves the block.
#[derive(Clone, Copy)]
struct Run {
    base: usize,
    mask: u64,
}

impl Run {
    /// Where the run ends that a place belongs to, or the value. `text` ends with the value.
    fn end(self, text: &[u8], at: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let end = at + (self.mask >> (at - self.base)).trailing_ones() as usize;
        if end < self.base + BLOCK {
            return end.min(text.len());
        }
        let behind = text.get(end..).unwrap_or_default();
        end.min(text.len()) + behind.iter().take_while(|byte| is_part(**byte)).count()
    }

    /// Where the run starts that a place belongs to. `before` is the value up to that place.
    fn start(self, before: &[u8], at: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let n_before = (self.mask << (BLOCK - 1 - (at - self.base))).leading_ones() as usize - 1;
        if n_before >= before.len() {
            return at - before.len();
        }
        let left = &before[..before.len() - n_before];
        let n_left = if at - n_before > self.base {
            0
        } else {
            left.iter().rev().take_while(|byte| is_part(**byte)).count()
        };
        at - n_before - n_left
    }
}

/// What may stand between two groups of digits.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+')
}

/// Whether a value is a UUID and nothing else, as ids of sessions and requests are: the search takes none of its
/// digits for a number, and base64 of hexadecimal digits has no sign that anything else needs. It might take the last
/// group for a card number with an exponent.
fn is_plain_uuid(value: &[u8]) -> bool {
    const LAST_GROUP: usize = 24;
    is_uuid(value)
        && !value[LAST_GROUP..].iter().take(FLOAT_DIGITS_MIN as usize).all(u8::is_ascii_digit)
}

/// The places of a block from one on.
fn from_place(place: usize) -> u64 {
    if place < BLOCK { u64::MAX << place } else { 0 }
}

/// Whether another colon stands before this one with at most four hexadecimal digits between.
fn is_second_colon(before: &[u8]) -> bool {
    let n_digits = before
        .iter()
        .rev()
        .take(IPV6_GROUP_MAX + 1)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    n_digits <= IPV6_GROUP_MAX
        && before.len().checked_sub(n_digits + 1).is_some_and(|at| before[at] == b':')
}
