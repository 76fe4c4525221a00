//! Text that is wrapped in base64, RFC 4648, of either alphabet and with padding or without. The text may be
//! UTF-8, with NUL between its parts, or UTF-16.

use super::work::Work;

/// The fewest characters that are unwrapped: `10.0.0.1` has twelve with its padding.
pub(super) const CHARS_MIN: usize = 11;

/// What ruling a run out costs, by its first characters.
const RUN_COST: usize = 4;

/// Six bits for each letter of either alphabet. A look at a table, as every byte of every word comes here.
const SEXTETS: [u8; 256] = {
    let mut sextets = [NO_SEXTET; 256];
    let mut byte = 0;
    while byte < 256 {
        sextets[byte] = match byte as u8 {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NO_SEXTET,
        };
        byte += 1;
    }
    sextets
};
const NO_SEXTET: u8 = 64;

/// Whether a byte belongs to one of the alphabets.
pub(super) const fn is_part(byte: u8) -> bool {
    SEXTETS[byte as usize] != NO_SEXTET
}

/// Unwraps a run of the alphabet. `false` where what comes out is no text, as in words and digests.
pub(super) fn decode(run: &[u8], out: &mut Vec<u8>, work: &mut Work) -> bool {
    out.clear();
    work.charge(RUN_COST);
    if !may_be_text(run) {
        return false;
    }
    // Decoded, and what comes out is looked at twice.
    work.charge(RUN_COST + 3 * run.len());
    decode_bytes(run, out);
    if let Some(units) = utf16_units(out) {
        let characters = char::decode_utf16(units);
        let text: String = characters.map(|character| character.unwrap_or('\u{fffd}')).collect();
        *out = text.into_bytes();
    }
    // All are looked at, without a branch for each.
    out.iter().fold(true, |all, &byte| all & is_printable(byte)) && std::str::from_utf8(out).is_ok()
}

fn decode_bytes(run: &[u8], out: &mut Vec<u8>) {
    let (quads, rest) = run.as_chunks::<4>();
    let bits = |quad: &[u8]| quad.iter().fold(0, |bits, &byte| bits << 6 | sextet(byte));
    out.reserve(3 * (quads.len() + 1));
    for quad in quads {
        let [_, first, second, third] = bits(quad).to_be_bytes();
        out.extend_from_slice(&[first, second, third]);
    }
    // A single character left over holds no byte.
    let [_, first, second, _] = (bits(rest) << (6 * (4 - rest.len()))).to_be_bytes();
    out.extend([first, second].into_iter().take(rest.len().saturating_sub(1)));
}

/// The units of UTF-16, if text is written in it: it has a mark, or every other of its first bytes is zero.
fn utf16_units(bytes: &[u8]) -> Option<Vec<u16>> {
    let is_little = match bytes {
        [0xff, 0xfe, ..] | [_, 0, _, 0, _, 0, ..] => true,
        [0xfe, 0xff, ..] | [0, _, 0, _, 0, _, ..] => false,
        _ => return None,
    };
    let (pairs, _) = bytes.as_chunks::<2>();
    let unit = |pair: &[u8; 2]| {
        if is_little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) }
    };
    Some(pairs.iter().map(unit).collect())
}

/// Rules most words out by their first characters.
pub(super) fn may_be_text(run: &[u8]) -> bool {
    let Some(first) = run.first_chunk::<8>().filter(|_| run.len() >= CHARS_MIN) else {
        return false;
    };
    // The marks of UTF-16 in either order.
    if matches!(first, [b'/' | b'_', b'/' | b'_', b'4'..=b'7', ..])
        || matches!(first, [b'/' | b'_', b'v', b'8' | b'9' | b'+' | b'/' | b'-' | b'_', ..])
    {
        return true;
    }
    // No text starts with half a character, which most words would.
    if sextet(first[0]) >= 32 && !matches!(sextet(first[0]), 48..=61) {
        return false;
    }
    let bits = first.iter().fold(0, |bits, &byte| bits << 6 | u64::from(sextet(byte)));
    let bytes = &bits.to_be_bytes()[2..];
    let is_text = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // The last character goes on after.
        Err(error) => error.error_len().is_none(),
    };
    is_text && bytes.iter().all(|&byte| is_printable(byte))
}

/// NUL parts the words of credentials, as in SASL PLAIN.
fn is_printable(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) | matches!(byte, b'\t' | b'\n' | b'\r' | 0)
}

fn sextet(byte: u8) -> u32 {
    u32::from(SEXTETS[usize::from(byte)])
}
