//! A count in one byte: exact up to 31, above within 3.2 % (a mantissa of five bits, the first of them
//! implied), at most 507,904. A user's median and spread vary by far more than that from week to week.

/// The bits of the mantissa that are stored.
const MANTISSA_BITS: u32 = 4;
const STEPS: u32 = 1 << MANTISSA_BITS;

/// The byte of a count, rounded to the nearest.
pub(crate) fn encode(count: u32) -> u8 {
    if count < 2 * STEPS {
        return count as u8;
    }
    let exponent = count.ilog2() - MANTISSA_BITS;
    let half = 1 << (exponent - 1);
    // A mantissa that rounds up to the next power of two carries into the exponent, as it should.
    let code = u64::from(exponent * STEPS) + ((u64::from(count) + half) >> exponent);
    code.min(u64::from(u8::MAX)) as u8
}

/// The count of a byte.
pub(crate) fn decode(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 2 * STEPS {
        return code;
    }
    (STEPS + code % STEPS) << (code / STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_a_count_and_back() {
        for code in 0..=u8::MAX {
            assert_eq!(encode(decode(code)), code);
        }
        assert_eq!(decode(u8::MAX), 507_904);
        assert_eq!(encode(u32::MAX), u8::MAX);
    }

    #[test]
    fn a_count_is_kept_within_three_percent() {
        for count in 0..500_000_u32 {
            let kept = decode(encode(count));
            let error = kept.abs_diff(count);
            assert!(count > 31 || error == 0, "{count}");
            assert!(error * 31 <= count, "{count} is kept as {kept}");
            assert!(encode(count) <= encode(count + 1), "{count}");
        }
    }
}
