//! Other ways to write the same text: decimal digits of any script, full-width forms, typographic
//! spaces and dashes, characters that are not seen, and percent-encoding.
//!
//! A folded text knows where each of its bytes comes from, so that what is found in it can be replaced
//! where it stands.

use super::work::Work;

/// What a character costs that is folded: it is decoded and looked up.
const CHARACTER_COST: usize = 8;

/// A text without disguise.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) bytes: Vec<u8>,
    /// For each byte, and for the end, where it begins in the original.
    // Invariant: one more than `bytes`, ascending, on the boundaries of the original's characters.
    origins: Vec<u32>,
}

impl Folded {
    /// Where a place in this text lies in the original.
    pub(super) fn origin(&self, at: usize) -> usize {
        self.origins[at] as usize
    }

    /// Folds a text. `None` where it stays as it is.
    pub(super) fn of(text: &[u8], work: &mut Work) -> Option<Self> {
        fold(text, work, |at| at)
    }

    /// Folds once more: what was decoded may be encoded again.
    pub(super) fn again(&self, work: &mut Work) -> Option<Self> {
        fold(&self.bytes, work, |at| self.origin(at))
    }

    fn push(&mut self, bytes: &[u8], origin: usize) {
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(bytes.iter().map(|_| origin as u32));
    }
}

fn fold(text: &[u8], work: &mut Work, origin: impl Fn(usize) -> usize) -> Option<Folded> {
    let first = first_folded(text, work)?;
    work.charge(2 * text.len());
    let mut folded = Folded::default();
    folded.bytes.reserve(text.len());
    folded.origins.reserve(text.len() + 1);
    folded.bytes.extend_from_slice(&text[..first]);
    folded.origins.extend((0..first).map(|at| origin(at) as u32));
    let mut at = first;
    while let Some(&byte) = text.get(at) {
        let (length, plain) = step(text, at);
        if byte == b'%' || byte >= 0x80 {
            work.charge(CHARACTER_COST);
        }
        match plain {
            Plain::Byte(plain) => folded.push(&[plain], origin(at)),
            Plain::Nothing => {}
            Plain::Itself => {
                for at in at..at + length {
                    folded.push(&text[at..=at], origin(at));
                }
            }
        }
        debug_assert!(length > 0, "byte {byte}");
        at += length;
    }
    folded.origins.push(origin(text.len()) as u32);
    Some(folded)
}

/// Where the first character is that is folded.
fn first_folded(text: &[u8], work: &mut Work) -> Option<usize> {
    work.charge(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'%' && byte < 0x80 {
            at += 1;
            continue;
        }
        work.charge(CHARACTER_COST);
        let (length, plain) = step(text, at);
        if plain != Plain::Itself {
            return Some(at);
        }
        at += length;
    }
    None
}

/// The text with spaces where a form writes `+` for them: between letters, digits and brackets. `None` where
/// there are none.
pub(super) fn without_plus(text: &[u8], work: &mut Work) -> Option<Vec<u8>> {
    work.charge(text.len());
    let is_space = |at: usize| {
        text[at] == b'+'
            && matches!(at.checked_sub(1).map(|at| text[at]),
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b')')
            && matches!(text.get(at + 1),
                Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'(')
    };
    let first = (0..text.len()).find(|&at| is_space(at))?;
    work.charge(text.len());
    let mut spaced = text.to_vec();
    for (at, byte) in spaced.iter_mut().enumerate().skip(first) {
        if is_space(at) {
            *byte = b' ';
        }
    }
    Some(spaced)
}

/// What a character stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Itself,
    Nothing,
    Byte(u8),
}

/// The length of the character at a position and what it stands for.
fn step(text: &[u8], at: usize) -> (usize, Plain) {
    match text[at] {
        b'%' => match text[at + 1..] {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (3, Plain::Byte(hex(high) << 4 | hex(low)))
            }
            _ => (1, Plain::Itself),
        },
        0..0x80 => (1, Plain::Itself),
        _ => match char_at(text, at) {
            Some(character) => (character.len_utf8(), plain(character)),
            // Percent-encoding may decode to anything.
            None => (1, Plain::Itself),
        },
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

/// The character that starts at a position.
pub(super) fn char_at(text: &[u8], at: usize) -> Option<char> {
    let length = match text.get(at)? {
        0..0x80 => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(text.get(at..at + length)?).ok()?.chars().next()
}

/// The character that ends before a position.
pub(super) fn char_before(text: &[u8], at: usize) -> Option<char> {
    (1..=4.min(at)).find_map(|length| {
        char_at(text, at - length).filter(|character| character.len_utf8() == length)
    })
}

fn plain(character: char) -> Plain {
    let byte = match u32::from(character) {
        // Soft hyphens, joiners, marks of direction, selectors and tags.
        0xad
        | 0x34f
        | 0x61c
        | 0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xe0000..=0xe007f => return Plain::Nothing,
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => b' ',
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xfe58 | 0xfe63 => b'-',
        0x2024 | 0x3002 | 0xfe52 | 0xff61 => b'.',
        0xfe6b => b'@',
        // The full-width forms of ASCII, digits among them.
        code @ 0xff01..=0xff5e => (code - 0xff00 + 0x20) as u8,
        code => match decimal(code) {
            Some(digit) => b'0' + digit,
            None => return Plain::Itself,
        },
    };
    Plain::Byte(byte)
}

/// The zeros of the decimal digits beyond ASCII, general category Nd. Nine more follow each of them.
/// Unicode 16.0, `DerivedNumericType.txt`.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

fn decimal(code: u32) -> Option<u8> {
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    let digit = code - zero;
    (digit < 10).then_some(digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_the_original() {
        let text = "é١%32\u{200b}３".as_bytes();
        let folded = Folded::of(text, &mut Work::default()).expect("it is folded");
        assert_eq!(folded.bytes, "é123".as_bytes());
        let origins: Vec<usize> = (0..=folded.bytes.len()).map(|at| folded.origin(at)).collect();
        assert_eq!(origins, [0, 1, 2, 4, 10, 13]);
    }

    #[test]
    fn what_is_decoded_may_be_decoded_again() {
        let mut work = Work::default();
        let folded = Folded::of(b"a%2540b", &mut work).expect("it is folded");
        assert_eq!(folded.bytes, b"a%40b");
        let again = folded.again(&mut work).expect("it is folded again");
        assert_eq!(again.bytes, b"a@b");
        assert_eq!((again.origin(1), again.origin(2)), (1, 6));
        assert!(again.again(&mut work).is_none());
    }

    #[test]
    fn ordinary_text_is_not_folded() {
        for text in ["50% off", "100%zz", "Jürgen Müller", "日本", "\u{1f600}", "%"] {
            assert!(Folded::of(text.as_bytes(), &mut Work::default()).is_none(), "{text}");
        }
    }
}
