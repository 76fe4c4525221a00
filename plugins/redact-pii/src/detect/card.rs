//! Payment card numbers, ISO/IEC 7812: 12 to 19 digits, the ranges that issuers have, and the check
//! digit (Luhn). Groups may be joined by single spaces or dashes.

use super::number::{Number, Separator};

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
    // What stands behind a point is a fraction or part of a version.
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
pub(crate) fn is_card_number(digits: &[u8]) -> bool {
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
