//! Payment card numbers, ISO/IEC 7812: 12 to 19 digits, the ranges that issuers have, and the check
//! digit (Luhn). Groups may be joined by single spaces or dashes.

use super::byte::{before, is_alphanumeric};
use super::groups::{Number, Separator};

const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 19;

/// Cards print 4-4-4-4, 4-6-5 and 4-6-4; programs split off the issuer's six or eight digits.
const FIRST_GROUP: [usize; 3] = [4, 6, 8];
const GROUP_DIGITS_MIN: usize = 3;

/// The longest card number that starts at the first group.
pub(super) fn groups(number: Number<'_>) -> Option<usize> {
    let mut digits = [0_u8; DIGITS_MAX];
    let mut n_digits = 0;
    let mut longest = None;
    // What follows a point is a fraction or part of a version.
    if number.separator(0) == Separator::One(b'.') {
        return None;
    }
    for at in 0.. {
        let joined = at == 0 || matches!(number.separator(at), Separator::One(b' ' | b'-'));
        let group = number.digits(at);
        if !joined || group.is_empty() || n_digits + group.len() > DIGITS_MAX {
            break;
        }
        digits[n_digits..n_digits + group.len()].copy_from_slice(group);
        n_digits += group.len();
        let has_layout = at == 0
            || (FIRST_GROUP.contains(&number.digits(0).len()) && group.len() >= GROUP_DIGITS_MIN);
        if !has_layout {
            break;
        }
        if is_card_number(&digits[..n_digits]) {
            longest = Some(at + 1);
        }
    }
    longest
}

/// Whether ASCII digits are a card number.
fn is_card_number(digits: &[u8]) -> bool {
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && has_issuer(digits) && passes_luhn(digits)
}

/// The ranges of the schemes with the lengths that they use.
fn has_issuer(digits: &[u8]) -> bool {
    let prefix = |n_digits: usize| {
        digits[..n_digits].iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    let length = digits.len();
    match prefix(4) {
        // Visa.
        4000..=4999 => matches!(length, 13 | 16 | 19),
        // Mastercard; RuPay; UzCard, Troy and Humo.
        2221..=2720 | 5100..=5599 | 8100..=8299 | 8600 | 9792 | 9860 => length == 16,
        // American Express.
        3400..=3499 | 3700..=3799 => length == 15,
        // Diners Club.
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => matches!(length, 14 | 16),
        // JCB; Mir; Discover and UnionPay.
        3528..=3589 | 2200..=2204 | 6011 | 6200..=6299 | 6440..=6599 => length >= 16,
        // Maestro.
        5018 | 5020 | 5038 | 5893 | 6304 | 6390 | 6700..=6799 => true,
        // RuPay, Verve, Dankort, Elo and InstaPayment.
        5019 | 5060..=5090 | 6000..=6010 | 6012..=6099 | 6360..=6399 => matches!(length, 16 | 19),
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B: every second digit from the right counts double, its digits added.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit - b'0');
            match at % 2 {
                0 => value,
                _ if value > 4 => value * 2 - 9,
                _ => value * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// With fewer digits before its exponent, a number is measured, not printed on a card.
const FLOAT_DIGITS_MIN: usize = 9;

/// Where the card number ends that starts at a position and is written with an exponent, as spreadsheets
/// write it: `4.111111111111111e15`.
pub(super) fn float_end(text: &[u8], start: usize) -> Option<usize> {
    let digits = |from: usize| {
        text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    if matches!(before(text, start), Some(b'.' | b'_')) || is_alphanumeric(before(text, start)) {
        return None;
    }
    let mut at = start + digits(start);
    if text.get(at) == Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    if !matches!(text.get(at), Some(b'e' | b'E')) {
        return None;
    }
    at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
    let end = at + digits(at);
    let is_whole = end > at && !is_alphanumeric(text.get(end).copied());
    let number = &text[start..end];
    (is_whole && is_card_written(number, &whole_digits(number))).then_some(end)
}

/// Whether a number with these digits before its point is that of a card.
pub(crate) fn is_card_written(number: &[u8], digits: &[u8]) -> bool {
    let mantissa = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    mantissa.is_none_or(|length| length >= FLOAT_DIGITS_MIN) && is_card_number(digits)
}

/// The digits of a number before its point, in whichever way it is written: programs write card numbers as
/// `4111111111111111`, `4111111111111111.0`, `4.111111111111111e15` or `0.4111111111111111e16`. Empty where
/// there are more than any number of a card or a telephone has.
pub(crate) fn whole_digits(number: &[u8]) -> Vec<u8> {
    const EXPONENT_MAX: usize = 1000;
    let is_exponent = |byte: &u8| matches!(byte, b'e' | b'E');
    let mantissa_end = number.iter().position(is_exponent).unwrap_or(number.len());
    let (mantissa, exponent) = number.split_at(mantissa_end);
    let is_down = exponent.get(1) == Some(&b'-');
    let exponent = exponent
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |sum, digit| (sum * 10 + usize::from(digit - b'0')).min(EXPONENT_MAX));
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let n_whole = mantissa[..point].iter().filter(is_digit).count();
    let n_whole = if is_down { n_whole.saturating_sub(exponent) } else { n_whole + exponent };
    let written = mantissa.iter().filter(is_digit).copied();
    let n_zeros = written.clone().take_while(|&digit| digit == b'0').count();
    let n_digits = n_whole.saturating_sub(n_zeros);
    let is_zero = written.clone().nth(n_zeros).is_none();
    if n_digits > DIGITS_MAX || is_zero {
        return Vec::new();
    }
    written.chain(std::iter::repeat(b'0')).skip(n_zeros).take(n_digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_digits_however_they_are_written() {
        for (number, expected) in [
            ("4111111111111111", "4111111111111111"),
            ("-4111111111111111.0", "4111111111111111"),
            ("4.1111111111111110e+15", "4111111111111111"),
            ("0.4111111111111111e16", "4111111111111111"),
            ("41111111111111110e-1", "4111111111111111"),
            ("5.1051051051051E15", "5105105105105100"),
            ("0.0004111e7", "4111"),
            ("0.5", ""),
            ("12e-5", ""),
            ("1e99999999999999999999", ""),
            ("0e9", ""),
        ] {
            assert_eq!(whole_digits(number.as_bytes()), expected.as_bytes(), "{number}");
        }
    }
}
