//! IPv4 addresses: four numbers up to 255 joined by dots, not a part of more numbers joined by dots
//! and not after a letter, as versions are.

use super::byte::{before, is_digit, is_letter};
use super::groups::{Number, Separator};
use super::label::{self, Label};

pub(super) fn groups(number: Number<'_>) -> Option<usize> {
    const DOT: Separator = Separator::One(b'.');
    let is_octet = |at: usize| {
        let digits = number.digits(at);
        let value =
            digits.iter().take(4).fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        !digits.is_empty() && digits.len() <= 3 && value <= 255
    };
    let fits = (0..4).all(is_octet)
        && (1..4).all(|at| number.separator(at) == DOT)
        && number.separator(0) != DOT
        && number.separator(4) != DOT;
    if !fits
        || is_letter(number.before())
        || is_letter(number.behind(3))
        || is_product_version(number)
        || is_called_version(number)
    {
        return None;
    }
    // A dot before the first number: `1.2..3.4.5.6` is no address, nor is `.5` the start of one.
    let start = number.group(0)?.start;
    let is_fraction = number.before() == Some(b'.') && is_digit(before(number.text, start - 1));
    (!is_fraction).then_some(4)
}

/// Browsers write `Chrome/120.0.0.0`: after a product's name, only an address that ends in three
/// zeros is taken for a version.
fn is_product_version(number: Number<'_>) -> bool {
    let start = number.group(0).map_or(0, |group| group.start);
    let follows_name = start >= 2
        && number.text[start - 1] == b'/'
        && number.text[start - 2].is_ascii_alphabetic();
    follows_name && (1..4).all(|at| number.digits(at) == b"0")
}

/// `version 1.2.3.4`, `build: 1.2.3.4`.
fn is_called_version(number: Number<'_>) -> bool {
    let start = number.group(0).map_or(0, |group| group.start);
    let Some(sign) =
        start.checked_sub(1).filter(|&at| matches!(number.text[at], b' ' | b':' | b'='))
    else {
        return false;
    };
    let sign = if sign > 0 && number.text[sign - 1] == b':' { sign - 1 } else { sign };
    label::of_word_before(number.text, sign) == Some(Label::Version)
}
