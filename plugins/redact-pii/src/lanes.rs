//! Classifies 64 bytes at a time, one bit per byte.
//!
//! In a component this uses the 16 lanes of SIMD128. Natively, for tests, it works on eight bytes in an ordinary
//! register.

/// The number of bytes that are classified together.
pub(crate) const BLOCK: usize = 64;

/// The classes of the bytes in a block. The first byte is the lowest bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// `@`, `%`, `\` and all bytes beyond ASCII.
    pub(crate) sign: u64,
    pub(crate) digit: u64,
    /// Letters, digits, `+`, `-`, `/` and `_`.
    pub(crate) word: u64,
    /// `:` and `=`, before which a name may stand.
    pub(crate) name: u64,
    /// Blanks and `+`, after which credentials may stand.
    pub(crate) blank: u64,
    /// The last letters of `Bearer` and `Basic`.
    pub(crate) scheme_end: u64,
}

impl Masks {
    #[inline]
    pub(crate) fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self::default();
        let (parts, _) = block.as_chunks::<{ unit::BYTES }>();
        for (index, part) in parts.iter().enumerate() {
            let shift = index * unit::BYTES;
            let [sign, digit, word, name, blank, scheme_end] = unit::classes(*part);
            masks.sign |= sign << shift;
            masks.digit |= digit << shift;
            masks.word |= word << shift;
            masks.name |= name << shift;
            masks.blank |= blank << shift;
            masks.scheme_end |= scheme_end << shift;
        }
        masks
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod unit {
    use std::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u8x16_sub, u64x2, v128, v128_or,
    };

    pub(super) const BYTES: usize = 16;

    #[inline]
    pub(super) fn classes(bytes: [u8; BYTES]) -> [u64; 6] {
        let (low, high) = bytes.split_at(8);
        let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let lanes = u64x2(half(low), half(high));
        let is = |byte: u8| u8x16_eq(lanes, u8x16_splat(byte));
        let within = |lanes: v128, first: u8, n: u8| {
            u8x16_lt(u8x16_sub(lanes, u8x16_splat(first)), u8x16_splat(n))
        };
        let or = |one: v128, other: v128| v128_or(one, other);
        let bits = |lanes: v128| u64::from(u8x16_bitmask(lanes));
        let digit = within(lanes, b'0', 10);
        let lower = or(lanes, u8x16_splat(0x20));
        let letter = within(lower, b'a', 26);
        let plus = is(b'+');
        let joins = or(or(plus, is(b'-')), or(is(b'/'), is(b'_')));
        let word = or(or(digit, letter), joins);
        // The highest bit of a lane is what counts: it is set in bytes beyond ASCII as they are.
        let sign = or(or(lanes, is(b'@')), or(is(b'%'), is(b'\\')));
        let name = or(is(b':'), is(b'='));
        let blank = or(u8x16_lt(lanes, u8x16_splat(b' ' + 1)), plus);
        let ends = |letter: u8| u8x16_eq(lower, u8x16_splat(letter));
        let scheme_end = or(ends(b'r'), ends(b'c'));
        [bits(sign), bits(digit), bits(word), bits(name), bits(blank), bits(scheme_end)]
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod unit {
    pub(super) const BYTES: usize = 8;

    const HIGH: u64 = 0x8080_8080_8080_8080;

    /// Sets are kept in the highest bit of each byte.
    #[inline]
    pub(super) fn classes(bytes: [u8; BYTES]) -> [u64; 6] {
        let lanes = u64::from_le_bytes(bytes);
        let ascii = lanes & !HIGH;
        // A carry out of seven bits shows that a byte is not less than another.
        let at_least = |of: u64, byte: u8| (of + splat(0x80 - byte)) & HIGH;
        let within = |of: u64, first: u8, n: u8| at_least(of, first) & !at_least(of, first + n);
        let is = |byte: u8| !((ascii ^ splat(byte)) + splat(0x7f)) & HIGH & !lanes;
        let digit = within(ascii, b'0', 10) & !lanes;
        let letter = within(ascii | splat(0x20), b'a', 26) & !lanes;
        let plus = is(b'+');
        let word = digit | letter | plus | is(b'-') | is(b'/') | is(b'_');
        let sign = (lanes & HIGH) | is(b'@') | is(b'%') | is(b'\\');
        let name = is(b':') | is(b'=');
        let blank = (!at_least(ascii, b' ' + 1) & HIGH & !lanes) | plus;
        let scheme_end = is(b'r') | is(b'R') | is(b'c') | is(b'C');
        [bits(sign), bits(digit), bits(word), bits(name), bits(blank), bits(scheme_end)]
    }

    const fn splat(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }

    /// Gathers the highest bits: each is moved by another distance into the highest byte.
    fn bits(set: u64) -> u64 {
        (set >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_its_classes() {
        for byte in 0..=255_u8 {
            for at in [0, 7, 8, 31, 63] {
                let mut block = [b'.'; BLOCK];
                block[at] = byte;
                let bit = |is: bool| u64::from(is) << at;
                let is_sign = matches!(byte, b'@' | b'%' | b'\\' | 0x80..);
                let is_word =
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'/' | b'_');
                let expected = Masks {
                    sign: bit(is_sign),
                    digit: bit(byte.is_ascii_digit()),
                    word: bit(is_word),
                    name: bit(matches!(byte, b':' | b'=')),
                    blank: bit(byte <= b' ' || byte == b'+'),
                    scheme_end: bit(matches!(byte, b'r' | b'R' | b'c' | b'C')),
                };
                assert_eq!(Masks::of(&block), expected, "{byte} at {at}");
            }
        }
    }
}
