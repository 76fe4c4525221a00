//! Email addresses: the common part of RFC 5321 and RFC 6531, without quoted local parts, comments
//! and domain literals. Plus tags, subdomains and letters beyond ASCII belong to an address. Where it
//! could begin earlier or later, more is taken rather than less.

use super::fold::{char_at, char_before};
use super::kind::{Kind, Match};
use super::work::Work;

/// What a character beyond ASCII costs: it is decoded and its class looked up.
const CHARACTER_COST: usize = 12;

/// RFC 5321 allows 64 bytes. More are taken, but not without end, as a `%` may start the next address.
const LOCAL_BYTES_MAX: usize = 256;

/// Bytes of a local part. RFC 5322 allows more (`=`, `/`, `?`, `&`, `{`, `|`, `}`, `*`), which in logs
/// are delimiters much more often; `*` is what masks are made of.
const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$' | b'^' | b'~'
        )
}

/// Letters and digits of any script belong to an address, with the marks on them. Spaces, dashes and
/// quotes of typography do not.
fn is_letter_or_mark(character: char) -> bool {
    character.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&character)
}

/// Where the local part starts that ends at a position.
fn local_start(text: &[u8], end: usize, work: &mut Work) -> usize {
    let mut start = end;
    while start > 0 && end - start < LOCAL_BYTES_MAX {
        start -= match text[start - 1] {
            byte if is_local(byte) => 1,
            0..0x80 => break,
            _ => match letter(char_before(text, start), work) {
                Some(length) => length,
                None => break,
            },
        };
    }
    work.charge(end - start);
    start
}

/// The length of a letter, a digit or a mark.
fn letter(character: Option<char>, work: &mut Work) -> Option<usize> {
    work.charge(CHARACTER_COST);
    character.filter(|&character| is_letter_or_mark(character)).map(char::len_utf8)
}

/// Where the label of a domain ends that starts at a position.
fn label_end(text: &[u8], start: usize, work: &mut Work) -> usize {
    let mut end = start;
    while let Some(&byte) = text.get(end) {
        end += match byte {
            b'-' => 1,
            0..0x80 if byte.is_ascii_alphanumeric() => 1,
            0..0x80 => break,
            _ => match letter(char_at(text, end), work) {
                Some(length) => length,
                None => break,
            },
        };
    }
    work.charge(1 + end - start);
    end
}

/// The address around an `@`, which in URLs is written `%40`.
pub(super) fn at(text: &[u8], at: usize, work: &mut Work) -> Option<Match> {
    let sign = if text[at] == b'@' { 1 } else { 3 };
    let end = domain_end(text, at + sign, work)?;
    let mut start = local_start(text, at, work);
    // What encloses an address is not part of it: `'bob@example.com'`, `...bob@example.com`.
    while start < at && matches!(text[start], b'\'' | b'.' | b'-' | b'!' | b'#') {
        start += 1;
    }
    (start < at).then_some(Match::new(start, end, Kind::Email))
}

/// Whether a text is one address and nothing else.
pub(crate) fn is_email(text: &[u8]) -> bool {
    let Some(sign) = text.iter().position(|&byte| byte == b'@') else {
        return false;
    };
    let found = at(text, sign, &mut Work::default());
    found.is_some_and(|found| found.start == 0 && found.end == text.len())
}

/// Where the longest domain ends that starts at a position: at least two labels, the last of which
/// starts with a letter and has two characters or more, as top-level domains do.
fn domain_end(text: &[u8], start: usize, work: &mut Work) -> Option<usize> {
    let mut end = None;
    let mut n_labels = 0;
    let mut label = start;
    loop {
        let at = label_end(text, label, work);
        if at == label {
            return end;
        }
        n_labels += 1;
        let first = text[label];
        let starts_with_letter = first.is_ascii_alphabetic() || first >= 0x80;
        if n_labels >= 2 && starts_with_letter && at - label >= 2 {
            end = Some(at);
        }
        if text.get(at) != Some(&b'.') {
            return end;
        }
        label = at + 1;
    }
}
