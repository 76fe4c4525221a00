//! JSON Web Tokens, RFC 7519: parts of base64url joined by dots, the first of which is a JSON object.

use super::base64;
use super::kind::{Kind, Match};
use super::work::Work;

/// The length of `{"` in base64.
const START_CHARS: usize = 3;
/// A signed token has three parts, an encrypted one five (RFC 7516).
const PARTS_MIN: usize = 3;
const PARTS_MAX: usize = 5;
/// The longest header that is decoded.
const HEADER_BYTES_MAX: usize = 8192;

/// The token that starts in a run of letters, digits, dashes and underlines.
pub(super) fn at(text: &[u8], start: usize, end: usize, work: &mut Work) -> Option<Match> {
    work.charge(end - start);
    // The run ends where the header does, so there is one candidate: the first.
    let first = text[start..end].windows(START_CHARS).position(starts)?;
    let start = start + first;
    if text.get(end) != Some(&b'.') || end - start > HEADER_BYTES_MAX {
        return None;
    }
    let mut header = Vec::new();
    if !base64::decode(&text[start..end], &mut header, work) || !is_object(&header) {
        return None;
    }
    let (mut at, mut n_parts) = (end, 1);
    while n_parts < PARTS_MAX && text.get(at) == Some(&b'.') {
        at += 1;
        at += text[at..].iter().take_while(|&&byte| is_part(byte)).count();
        n_parts += 1;
    }
    work.charge(at - end);
    (n_parts >= PARTS_MIN).then(|| Match::new(start, at, Kind::Jwt))
}

/// Whether a run starts with `{"` in base64.
pub(super) fn starts(run: &[u8]) -> bool {
    matches!(run, [b'e', b'y', b'J', ..])
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_object(text: &[u8]) -> bool {
    text.starts_with(b"{\"") && text.trim_ascii_end().ends_with(b"}")
}
