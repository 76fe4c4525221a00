//! Escapes of JSON strings, RFC 8259 section 7.

/// Appends the decoded content of a JSON string. Anything that is not an escape is copied, so that it also works
/// for text that is not quite JSON. Half of a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let Some(&byte) = rest.first() {
        let used = if byte == b'\\' { unescape_one(rest, out) } else { 0 };
        if used == 0 {
            out.push(byte);
        }
        rest = &rest[used.max(1)..];
    }
}

/// Appends the decoded escape. Returns its length, 0 if there is none.
fn unescape_one(text: &[u8], out: &mut Vec<u8>) -> usize {
    let plain = match text.get(1) {
        Some(b'"' | b'\\' | b'/') => text[1],
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return unescape_unicode(text, out),
        _ => return 0,
    };
    out.push(plain);
    2
}

fn unescape_unicode(text: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(first) = code_unit(text) else {
        return 0;
    };
    let second = text.get(6..).and_then(code_unit);
    let (scalar, used) = match (first, second) {
        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
            (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12)
        }
        _ => (first, 6),
    };
    let scalar = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(scalar.encode_utf8(&mut [0; 4]).as_bytes());
    used
}

/// The number in `\u0040`.
fn code_unit(text: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text else {
        return None;
    };
    let digits = digits.first_chunk::<4>()?;
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

/// Appends text as the content of a JSON string.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}
