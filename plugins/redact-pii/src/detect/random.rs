//! Values that look random.

const TOKEN_BYTES_MIN: usize = 16;
/// Shannon entropy, bits a character. Random hexadecimal digits have 3.3 or more at 16 characters.
const TOKEN_BITS_MIN: f64 = 3.0;

/// RFC 6750 section 2.1, `b64token`.
pub(super) fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Long, of mixed characters, and without much repetition.
pub(super) fn is_random(value: &[u8]) -> bool {
    value.len() >= TOKEN_BYTES_MIN
        && value.iter().all(|&byte| is_credential(byte))
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && entropy(value) >= TOKEN_BITS_MIN
}

/// Shannon entropy in bits a character.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in value {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}
