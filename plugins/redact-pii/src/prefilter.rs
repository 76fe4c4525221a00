//! Sees in one pass whether a value can need a change at all. Most cannot, and nothing more is done
//! for them. It may say yes too often, never no.

use crate::detect::{Kind, Kinds};

/// What a byte means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    At,
    Percent,
    Digit,
    Colon,
    Quote,
    Backslash,
}

/// The fewest digits of a number that is not an IPv4 address. Telephone numbers have eight.
const NUMBER_DIGITS_MIN: u32 = 8;
const IPV4_DOTS: u32 = 3;
/// The most bytes between two groups of digits: `) `.
const GAP_MAX: usize = 2;
/// An escaped slash is a separator too: `\/`.
const SEPARATORS: &[u8] = b" -./()\\";

/// Knows the bytes that matter under a configuration.
#[derive(Debug)]
pub(crate) struct Prefilter {
    classes: [Class; 256],
    /// The keys that a path may start with, each with its closing quote.
    keys: Vec<Vec<u8>>,
    /// Whether a path may apply whatever the keys are.
    always: bool,
}

/// The digits of one number so far.
#[derive(Default)]
struct Digits {
    n: u32,
    n_dots: u32,
    /// Where the last of them ends.
    end: usize,
}

impl Prefilter {
    pub(crate) fn new(kinds: Kinds, first_keys: &[&[u8]], always: bool) -> Self {
        let mut classes = [Class::Plain; 256];
        let mut set = |byte: u8, class: Class| classes[usize::from(byte)] = class;
        if kinds.has(Kind::Email) {
            set(b'@', Class::At);
            set(b'%', Class::Percent);
        }
        if !kinds.is_empty() {
            (b'0'..=b'9').for_each(|digit| set(digit, Class::Digit));
        }
        if kinds.has(Kind::Ip) {
            set(b':', Class::Colon);
        }
        if !first_keys.is_empty() {
            set(b'"', Class::Quote);
        }
        set(b'\\', Class::Backslash);
        Self {
            classes,
            keys: first_keys.iter().map(|key| [key, &b"\""[..]].concat()).collect(),
            always,
        }
    }

    /// Whether a value has to be looked through.
    #[inline]
    pub(crate) fn may_change(&self, value: &[u8]) -> bool {
        if self.always || value.len() > crate::VALUE_BYTES_MAX {
            return true;
        }
        let mut digits = Digits::default();
        for (at, &byte) in value.iter().enumerate() {
            let is_sign = match self.classes[usize::from(byte)] {
                Class::Plain => false,
                Class::At => true,
                Class::Percent => value[at..].starts_with(b"%40"),
                Class::Digit => digits.take(value, at),
                Class::Colon => is_second_colon(value, at),
                Class::Quote => self.is_key(&value[at + 1..]),
                Class::Backslash => value.get(at + 1) == Some(&b'u'),
            };
            if is_sign {
                return true;
            }
        }
        false
    }

    fn is_key(&self, rest: &[u8]) -> bool {
        self.keys.iter().any(|key| rest.first() == key.first() && rest.starts_with(key))
    }
}

impl Digits {
    /// Counts the digit at a position. Gives whether there are enough for a number that matters.
    #[inline]
    fn take(&mut self, value: &[u8], at: usize) -> bool {
        if at != self.end || self.n == 0 {
            let gap = value.get(self.end..at).unwrap_or_default();
            let goes_on = self.n > 0
                && gap.len() <= GAP_MAX
                && gap.iter().all(|byte| SEPARATORS.contains(byte));
            if goes_on {
                self.n_dots += u32::from(gap == b".");
            } else {
                (self.n, self.n_dots) = (0, 0);
            }
        }
        self.n += 1;
        self.end = at + 1;
        self.n >= NUMBER_DIGITS_MIN || self.n_dots >= IPV4_DOTS
    }
}

/// Whether another colon stands before this one with at most four hexadecimal digits between.
fn is_second_colon(value: &[u8], at: usize) -> bool {
    let n_digits =
        value[..at].iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).take(5).count();
    n_digits <= 4 && at > n_digits && value[at - n_digits - 1] == b':'
}
