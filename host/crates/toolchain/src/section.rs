//! The sections of a WebAssembly binary, as far as adding and leaving out custom ones needs them.

use std::ops::Range;

/// The id of a custom section.
const CUSTOM: u8 = 0;
/// The id of the section of a module that holds the bodies of functions.
pub(crate) const CODE: u8 = 10;
/// Magic number, version and layer.
const HEADER_BYTES: usize = 8;

/// One section of a binary.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) id: u8,
    /// The name of a custom section; empty for others.
    pub(crate) name: &'a str,
    /// What it holds, without the name.
    pub(crate) payload: &'a [u8],
    /// Where all of it stands, with id and length.
    pub(crate) at: Range<usize>,
}

/// All sections in their order. `Err` holds the byte at which the binary makes no sense.
pub(crate) fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, usize> {
    if !bytes.starts_with(b"\0asm") || bytes.len() < HEADER_BYTES {
        return Err(0);
    }
    let mut found = Vec::new();
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let section = section(bytes, at).ok_or(at)?;
        at = section.at.end;
        found.push(section);
    }
    Ok(found)
}

fn section(bytes: &[u8], at: usize) -> Option<Section<'_>> {
    let (&id, rest) = bytes.get(at..)?.split_first()?;
    let (n_bytes, rest) = length(rest)?;
    let payload = rest.get(..n_bytes)?;
    let end = bytes.len() - rest.len() + n_bytes;
    if id != CUSTOM {
        return Some(Section { id, name: "", payload, at: at..end });
    }
    let (n_name, rest) = length(payload)?;
    let (name, payload) = rest.split_at_checked(n_name)?;
    Some(Section { id, name: std::str::from_utf8(name).ok()?, payload, at: at..end })
}

/// An unsigned LEB128 number of at most 32 bits, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (idx, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * idx);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, bytes.get(idx + 1..)?));
        }
    }
    None
}

fn push_length(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a custom section to a module or a component: engines pass over those that they do not know.
pub fn append_custom(binary: &mut Vec<u8>, name: &str, payload: &[u8]) {
    let mut content = Vec::with_capacity(name.len() + 5);
    push_length(&mut content, name.len());
    content.extend_from_slice(name.as_bytes());
    binary.push(CUSTOM);
    push_length(binary, content.len() + payload.len());
    binary.extend_from_slice(&content);
    binary.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn what_is_appended_is_found() {
        let mut binary = EMPTY.to_vec();
        let long = vec![7; 300];
        append_custom(&mut binary, "first", b"");
        append_custom(&mut binary, "audit-host:golden", &long);
        let found = sections(&binary).expect("a good binary");
        let names: Vec<_> = found.iter().map(|section| section.name).collect();
        assert_eq!(names, ["first", "audit-host:golden"]);
        assert_eq!(found[1].payload, long);
        assert_eq!(found[1].at.end, binary.len());
    }

    #[test]
    fn damage_is_refused() {
        let mut cut = EMPTY.to_vec();
        append_custom(&mut cut, "name", b"payload");
        cut.pop();
        let long_name = [EMPTY, &[0, 2, 9, b'a']].concat();
        for bytes in [b"".as_slice(), b"\0asm", b"not wasm", &cut, &long_name] {
            assert!(sections(bytes).is_err(), "{bytes:?}");
        }
    }
}
