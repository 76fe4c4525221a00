//! Long words: keys, tokens, and text that is wrapped in base64.

use super::finder::Finder;
use super::{Kind, Kinds, Match, base64, jwt, secret};
use crate::escape;

/// So many layers of base64 are looked through.
pub(super) const LAYERS_MAX: usize = 3;

/// The fewest letters of a word that is looked at.
pub(crate) const CHARS_MIN: usize = base64::CHARS_MIN;

/// The signs that only one of the alphabets has, which may as well part words.
const SPLITS: [fn(u8) -> bool; 2] =
    [|byte| matches!(byte, b'-' | b'_'), |byte| matches!(byte, b'+' | b'/')];

/// Whether a byte belongs to a word.
pub(crate) const fn is_part(byte: u8) -> bool {
    base64::is_part(byte)
}

/// The shortest line that base64 is broken after: PEM has 64 characters, MIME 76.
const LINE_CHARS_MIN: usize = 60;
/// The most blanks before a line that goes on.
const INDENT_MAX: usize = 8;

/// Looks at the word that starts at a position, and at the lines behind it that go on with it, and gives the
/// place behind them.
pub(super) fn at(
    text: &[u8],
    start: usize,
    kinds: Kinds,
    layers: usize,
    found: &mut Vec<Match>,
) -> usize {
    let mut end = word_end(text, start);
    if kinds.has(Kind::ApiKey) {
        // Its first part may be short: `Bearer mF_9.B5f-4.1JqM`.
        found.extend(secret::behind_scheme(text, start));
    }
    if end - start < CHARS_MIN {
        return end;
    }
    one(text, start, end, kinds, layers, found);
    let line_chars = end - start;
    let Some(mut line) = next_line(text, end)
        .filter(|_| line_chars >= LINE_CHARS_MIN && line_chars.is_multiple_of(4))
    else {
        return end;
    };
    let mut joined = text[start..end].to_vec();
    loop {
        end = word_end(text, line);
        joined.extend_from_slice(&text[line..end]);
        one(text, line, end, kinds, layers, found);
        match next_line(text, end) {
            Some(next) if end - line == line_chars => line = next,
            _ => break,
        }
    }
    let mut inner = Vec::new();
    if base64::decode(&joined, &mut inner)
        && let Some(kind) = kind_in(&inner, kinds, layers)
    {
        let whole = Match::new(start, end + padding(text, end), kind);
        found.push(Match { is_merged: true, ..whole });
    }
    end
}

fn word_end(text: &[u8], start: usize) -> usize {
    start + text[start..].iter().take_while(|&&byte| is_part(byte)).count()
}

/// Where the next line starts, if a line ends here and the next one starts with a word.
fn next_line(text: &[u8], end: usize) -> Option<usize> {
    let behind = text.get(end..)?;
    let behind = behind.strip_prefix(b"\r").unwrap_or(behind).strip_prefix(b"\n")?;
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let line = &behind[behind.iter().take(INDENT_MAX).take_while(is_blank).count()..];
    line.first().filter(|byte| is_part(**byte))?;
    Some(text.len() - line.len())
}

fn padding(text: &[u8], end: usize) -> usize {
    text[end..].iter().take(2).take_while(|&&byte| byte == b'=').count()
}

/// Looks at a word of one line.
fn one(text: &[u8], start: usize, end: usize, kinds: Kinds, layers: usize, found: &mut Vec<Match>) {
    if end - start < CHARS_MIN {
        return;
    }
    if kinds.has(Kind::ApiKey) {
        secret::prefixed(text, start, end, found);
    }
    if kinds.has(Kind::Jwt) {
        found.extend(jwt::at(text, start, end));
    }
    unwrapped(text, start, end, kinds, layers, found);
}

/// Looks into a word as base64: the whole, and the parts between the signs that the one alphabet or the
/// other has, as in paths.
fn unwrapped(
    text: &[u8],
    start: usize,
    end: usize,
    kinds: Kinds,
    layers: usize,
    found: &mut Vec<Match>,
) {
    let mut inner = Vec::new();
    let mut look = |from: usize, to: usize| {
        if !base64::decode(&text[from..to], &mut inner) {
            return false;
        }
        let Some(kind) = kind_in(&inner, kinds, layers) else {
            return false;
        };
        let whole = Match::new(from, to + padding(text, to), kind);
        found.push(Match { is_merged: true, ..whole });
        true
    };
    if look(start, end) {
        return;
    }
    for is_split in SPLITS {
        for (from, to) in parts(&text[..end], start, is_split) {
            look(from, to);
        }
    }
}

/// The parts of a word that is split at some bytes, if there is more than one.
fn parts(
    text: &[u8],
    start: usize,
    is_split: fn(u8) -> bool,
) -> impl Iterator<Item = (usize, usize)> {
    let is_whole = !text[start..].iter().any(|&byte| is_split(byte));
    let mut from = start;
    text[start..].split(move |&byte| is_split(byte)).filter(move |_| !is_whole).map(move |part| {
        let place = (from, from + part.len());
        from += part.len() + 1;
        place
    })
}

/// What unwrapped text holds first. More layers than anything honest has hide something.
fn kind_in(inner: &[u8], kinds: Kinds, layers: usize) -> Option<Kind> {
    let Some(layers) = layers.checked_sub(1) else {
        return Some(Kind::Unreadable);
    };
    if let Some(kind) = Finder::kind_in(inner, kinds, layers) {
        return Some(kind);
    }
    if kinds.has(Kind::ApiKey) && is_sasl_plain(inner) {
        return Some(Kind::ApiKey);
    }
    if !inner.contains(&b'\\') {
        return None;
    }
    let mut unescaped = Vec::with_capacity(inner.len());
    escape::unescape(inner, &mut unescaped);
    Finder::kind_in(&unescaped, kinds, layers)
}

/// RFC 4616: for whom, NUL, a name, NUL and a password.
fn is_sasl_plain(inner: &[u8]) -> bool {
    let mut parts = inner.split(|&byte| byte == 0).skip(1);
    let mut next = || parts.next().is_some_and(|part| !part.is_empty());
    next() && next() && parts.next().is_none()
}

/// Whether a word may hold something. Says yes too often, never no. One pass without calls, as it is
/// asked of every long word of every row.
pub(crate) fn may_matter(text: &[u8], start: usize, end: usize, kinds: Kinds) -> bool {
    let word = &text[start..end];
    if word.len() < CHARS_MIN {
        return false;
    }
    let has_keys = kinds.has(Kind::ApiKey);
    if base64::may_be_text(word) {
        return true;
    }
    // Where the parts start that `-` and `_` leave, and those that `+` and `/` leave.
    let (mut dashed, mut slashed) = (0, 0);
    for (at, &byte) in word.iter().enumerate() {
        let (part, next) = match byte {
            b'-' | b'_' => (&mut dashed, at + 1),
            b'+' | b'/' => (&mut slashed, at + 1),
            b'A' | b'g' | b'x' | b's' | b'r' if has_keys && secret::may_start(&word[at..]) => {
                return true;
            }
            b'e' if word[at..].starts_with(jwt::START) && kinds.has(Kind::Jwt) => return true,
            _ => continue,
        };
        if base64::may_be_text(&word[*part..at]) {
            return true;
        }
        *part = next;
    }
    (dashed > 0 && base64::may_be_text(&word[dashed..]))
        || (slashed > 0 && base64::may_be_text(&word[slashed..]))
}
