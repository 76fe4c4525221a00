//! Long words: keys, tokens, and text encoded in base64.

use super::kind::{Kind, Kinds, Match};
use super::work::Work;
use super::{base64, jwt, secret};
use crate::escape;

/// How many layers of base64 are decoded.
pub(super) const LAYERS_MAX: usize = 3;

/// The fewest characters of a word that is checked.
pub(crate) const CHARS_MIN: usize = base64::CHARS_MIN;

/// The characters that only one of the base64 alphabets has. They may also separate words.
const SPLITS: [[u8; 2]; 2] = [[b'-', b'_'], [b'+', b'/']];

/// Whether a byte belongs to a word.
pub(crate) const fn is_part(byte: u8) -> bool {
    base64::is_part(byte)
}

/// What a word costs before its letters are looked at.
const WORD_COST: usize = 4;

/// The shortest line of wrapped base64: PEM has 64 characters, MIME 76.
const LINE_CHARS_MIN: usize = 60;
/// The most blanks before a continuation line.
const INDENT_MAX: usize = 8;

/// How text encoded in words is searched.
#[derive(Clone, Copy)]
pub(super) struct Wrapped {
    pub(super) kinds: Kinds,
    /// The layers of base64 that may still be decoded.
    pub(super) layers: usize,
    /// Searches decoded text with the layers that are left.
    pub(super) search: fn(&[u8], Kinds, usize, &mut Work) -> Option<Kind>,
}

/// Checks the word that starts at a position and the lines that continue it. Returns the position after them.
pub(super) fn at(
    text: &[u8],
    start: usize,
    wrapped: Wrapped,
    work: &mut Work,
    found: &mut Vec<Match>,
) -> usize {
    let mut end = word_end(text, start);
    work.charge(WORD_COST + end - start);
    if wrapped.kinds.has(Kind::ApiKey) {
        // Its first part may be short: `Bearer mF_9.B5f-4.1JqM`.
        found.extend(secret::behind_scheme(text, start, work));
    }
    if end - start < CHARS_MIN {
        return end;
    }
    one(text, start, end, wrapped, work, found);
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
        one(text, line, end, wrapped, work, found);
        match next_line(text, end) {
            Some(next) if end - line == line_chars => line = next,
            _ => break,
        }
    }
    let mut inner = Vec::new();
    work.charge(joined.len());
    if base64::decode(&joined, &mut inner, work)
        && let Some(kind) = kind_in(&inner, wrapped, work)
    {
        let whole = Match::new(start, end + padding(text, end), kind);
        found.push(Match { is_merged: true, ..whole });
    }
    end
}

fn word_end(text: &[u8], start: usize) -> usize {
    start + text[start..].iter().take_while(|&&byte| is_part(byte)).count()
}

/// The start of the next line, if a line ends here and the next one starts with a word.
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

/// Checks a word of one line.
fn one(
    text: &[u8],
    start: usize,
    end: usize,
    wrapped: Wrapped,
    work: &mut Work,
    found: &mut Vec<Match>,
) {
    if end - start < CHARS_MIN || work.is_exhausted() {
        return;
    }
    if wrapped.kinds.has(Kind::ApiKey) {
        secret::prefixed(text, start, end, work, found);
    }
    if wrapped.kinds.has(Kind::Jwt) {
        found.extend(jwt::at(text, start, end, work));
    }
    unwrapped(text, start, end, wrapped, work, found);
}

/// Decodes a word as base64: the whole, and the parts between the characters that only one of the alphabets
/// has, as in paths.
fn unwrapped(
    text: &[u8],
    start: usize,
    end: usize,
    wrapped: Wrapped,
    work: &mut Work,
    found: &mut Vec<Match>,
) {
    // The whole is split twice, and each part looked at.
    work.charge(2 * (end - start));
    let mut inner = Vec::new();
    let mut look = |from: usize, to: usize| {
        if work.is_exhausted() || !base64::decode(&text[from..to], &mut inner, work) {
            return false;
        }
        let Some(kind) = kind_in(&inner, wrapped, work) else {
            return false;
        };
        let whole = Match::new(from, to + padding(text, to), kind);
        found.push(Match { is_merged: true, ..whole });
        true
    };
    if look(start, end) {
        return;
    }
    for [one, other] in SPLITS {
        let is_split = |byte: u8| byte == one || byte == other;
        // All are looked at, without a branch for each.
        if !text[start..end].iter().fold(false, |any, &byte| any | is_split(byte)) {
            continue;
        }
        let mut from = start;
        for part in text[start..end].split(|&byte| is_split(byte)) {
            look(from, from + part.len());
            from += part.len() + 1;
        }
    }
}

/// The first kind in decoded text. More layers than legitimate text has are treated as hiding something.
fn kind_in(inner: &[u8], wrapped: Wrapped, work: &mut Work) -> Option<Kind> {
    let Wrapped { kinds, layers, search } = wrapped;
    let Some(layers) = layers.checked_sub(1) else {
        return Some(Kind::Unreadable);
    };
    work.charge(2 * inner.len());
    if let Some(searched) = work.result(inner, kinds, layers) {
        return searched.kind;
    }
    let kind = search(inner, kinds, layers, work)
        .or_else(|| kind_behind_escapes(inner, Wrapped { layers, ..wrapped }, work));
    work.keep_result(inner, kinds, layers, kind);
    kind
}

/// The first kind in decoded text in which nothing was found as it is.
fn kind_behind_escapes(inner: &[u8], wrapped: Wrapped, work: &mut Work) -> Option<Kind> {
    let Wrapped { kinds, layers, search } = wrapped;
    if work.is_exhausted() {
        return None;
    }
    work.charge(inner.len());
    if kinds.has(Kind::ApiKey) && is_sasl_plain(inner) {
        return Some(Kind::ApiKey);
    }
    if !inner.contains(&b'\\') {
        return None;
    }
    work.charge(inner.len());
    let mut unescaped = Vec::with_capacity(inner.len());
    escape::unescape(inner, &mut unescaped);
    search(&unescaped, kinds, layers, work)
}

/// RFC 4616: authorization identity, NUL, user name, NUL, password.
fn is_sasl_plain(inner: &[u8]) -> bool {
    let mut parts = inner.split(|&byte| byte == 0).skip(1);
    let mut next = || parts.next().is_some_and(|part| !part.is_empty());
    next() && next() && parts.next().is_none()
}

/// Whether a word may hold something: false positives are fine, false negatives are not. One pass without
/// calls, because it runs for every long word of every row.
pub(crate) fn may_matter(text: &[u8], start: usize, end: usize, kinds: Kinds) -> bool {
    let word = &text[start..end];
    if word.len() < CHARS_MIN {
        return false;
    }
    let has_keys = kinds.has(Kind::ApiKey);
    if base64::may_be_text(word) {
        return true;
    }
    // The starts of the current parts: between `-` and `_`, and between `+` and `/`.
    let (mut dashed, mut slashed) = (0, 0);
    for (at, &byte) in word.iter().enumerate() {
        let (part, next) = match byte {
            b'-' | b'_' => (&mut dashed, at + 1),
            b'+' | b'/' => (&mut slashed, at + 1),
            b'A' | b'g' | b'x' | b's' | b'r' if has_keys && secret::may_start(&word[at..]) => {
                return true;
            }
            b'e' if jwt::starts(&word[at..]) && kinds.has(Kind::Jwt) => return true,
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
