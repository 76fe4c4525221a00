//! Base64.

/// RFC 4648 section 4.
pub(super) fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - group.len()));
        for at in 0..4 {
            let sextet = bits >> (18 - 6 * at) & 63;
            let is_padding = at > group.len();
            out.push(if is_padding { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    out
}
