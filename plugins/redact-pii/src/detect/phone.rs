//! Telephone numbers in the forms that people write: E.164 with its plus sign, North American, and
//! national ones with a leading zero. Digits without a plus sign or separators are no telephone
//! number, as ids and times look the same.

use super::byte::{before, is_alphanumeric, is_digit};
use super::groups::{Number, Separator};

/// ITU-T E.164: at most 15 digits. The shortest numbers in use abroad have 8.
const INTERNATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// With the country before.
const NORTH_AMERICAN_DIGITS: usize = 11;
/// With so many digits, what follows a space is another number.
const COMPLETE_DIGITS: usize = 11;
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=12;
const PAIRED_DIGITS: usize = 10;
/// With `00` and the country before.
const PREFIXED_DIGITS: std::ops::RangeInclusive<usize> = 10..=17;

pub(super) fn groups(number: Number<'_>) -> Option<usize> {
    international(number)
        .or_else(|| north_american(number, 0))
        .or_else(|| north_american(number, 1))
        .or_else(|| bracketed(number))
        .or_else(|| national(number))
}

/// `+49 30 901820`, `+1 (212) 555-0123`, `+442079460958`.
fn international(number: Number<'_>) -> Option<usize> {
    let start = number.group(0)?.start;
    let sign = match number.before()? {
        b'+' => start - 1,
        b'(' if before(number.text, start - 1) == Some(b'+') => start - 2,
        _ => return None,
    };
    if is_alphanumeric(before(number.text, sign)) || number.digits(0).first() == Some(&b'0') {
        return None;
    }
    let range = match number.digits(0).first() {
        // North America has numbers of one length.
        Some(b'1') => NORTH_AMERICAN_DIGITS..=NORTH_AMERICAN_DIGITS,
        _ => INTERNATIONAL_DIGITS,
    };
    let mut n_digits = 0;
    let mut accepted = None;
    for at in 0.. {
        let length = number.digits(at).len();
        let is_complete =
            n_digits >= COMPLETE_DIGITS && number.separator(at) == Separator::One(b' ');
        n_digits += length;
        if length == 0 || n_digits > *range.end() || is_complete {
            break;
        }
        if range.contains(&n_digits) && ends_here(number, at + 1) {
            accepted = Some(at + 1);
        }
    }
    accepted
}

/// `212-555-0123`, `(212) 555-0123`, and with `1` before, which then is the first group.
fn north_american(number: Number<'_>, area: usize) -> Option<usize> {
    let groups = [area, area + 1, area + 2].map(|at| number.digits(at));
    let [[b'2'..=b'9', _, _], [b'2'..=b'9', _, _], [_, _, _, _]] = groups else {
        return None;
    };
    let n_groups = area + 3;
    let joined = match (number.separator(area + 1), number.separator(area + 2)) {
        (Separator::One(first @ (b'-' | b'.' | b' ')), Separator::One(second)) => first == second,
        (Separator::Bracket, Separator::One(b'-' | b'.' | b' ')) => true,
        _ => false,
    };
    let has_prefix = area == 0 || number.digits(0) == b"1";
    // With a group before, this is the middle of something, unless words part them.
    let starts_here = !matches!(number.separator(0), Separator::One(b'-' | b'.' | b'/'));
    let fits =
        joined && has_prefix && starts_here && stands_free(number) && ends_here(number, n_groups);
    fits.then_some(n_groups)
}

/// `(030) 901820`, `(02) 9374 4000`, `(11) 91234-5678`: an area in brackets.
fn bracketed(number: Number<'_>) -> Option<usize> {
    let start = number.group(0)?.start;
    let is_area = number.before() == Some(b'(')
        && number.separator(1) == Separator::Bracket
        && (2..=5).contains(&number.digits(0).len())
        && !is_alphanumeric(before(number.text, start - 1));
    if !is_area {
        return None;
    }
    let mut n_digits = number.digits(0).len() + number.digits(1).len();
    let mut n_groups = 2;
    while let Separator::One(b' ' | b'-') = number.separator(n_groups) {
        n_digits += number.digits(n_groups).len();
        n_groups += 1;
        if n_digits > *NATIONAL_DIGITS.end() {
            return None;
        }
    }
    let shape = [0, 1, 2].map(|at| number.digits(at).len());
    let has_trunk = number.digits(0).first() == Some(&b'0') && NATIONAL_DIGITS.contains(&n_digits);
    let fits = has_trunk || (n_groups == 3 && matches!(shape, [2..=3, 3..=5, 4]));
    (fits && ends_here(number, n_groups)).then_some(n_groups)
}

/// `030 901820`, `06 12 34 56 78`, `0044 20 7946 0958`: a leading zero and the same separator in all.
fn national(number: Number<'_>) -> Option<usize> {
    if number.separator(0) != Separator::None || !stands_free(number) {
        return None;
    }
    let first = number.digits(0);
    let range = match first {
        [b'0', b'1'..=b'9', ..] => NATIONAL_DIGITS,
        [b'0', b'0', b'1'..=b'9', ..] => PREFIXED_DIGITS,
        _ => return None,
    };
    let Separator::One(separator @ (b' ' | b'-' | b'/' | b'.')) = number.separator(1) else {
        return None;
    };
    let mut n_digits = 0;
    let mut n_groups = 0;
    while n_groups == 0 || number.separator(n_groups) == Separator::One(separator) {
        let length = number.digits(n_groups).len();
        n_digits += length;
        n_groups += 1;
        // Only after a country: `0033 1 23 45 67 89`. Also keeps a long list of numbers from being
        // walked once a number.
        let is_short_area = n_groups == 2 && first.starts_with(b"00");
        if (length < 2 && !is_short_area) || n_digits > *range.end() {
            return None;
        }
    }
    // In pairs, it has ten digits, as in France. More of them are a hardware address.
    let is_paired = (0..n_groups).all(|at| number.digits(at).len() == 2);
    let fits = (2..=5).contains(&first.len())
        && range.contains(&n_digits)
        && (!is_paired || n_digits == PAIRED_DIGITS)
        && ends_here(number, n_groups);
    fits.then_some(n_groups)
}

/// Whether nothing before makes the number a part of an id: a letter, an underline, a hash, or a sign
/// that joins it to something.
fn stands_free(number: Number<'_>) -> bool {
    let start = number.group(0).map_or(0, |group| group.start);
    let second = before(number.text, start.saturating_sub(1));
    match number.before() {
        Some(b'_' | b'#') => false,
        Some(b'-' | b'.' | b'/') => !is_alphanumeric(second),
        Some(b':') => !is_digit(second),
        byte => !is_alphanumeric(byte),
    }
}

/// Whether nothing after makes it longer. An `x` starts an extension.
fn ends_here(number: Number<'_>, n_groups: usize) -> bool {
    let is_joined = matches!(number.separator(n_groups), Separator::One(b'-' | b'.' | b'/'));
    let behind = number.behind(n_groups - 1);
    let is_id = is_alphanumeric(behind) && !matches!(behind, Some(b'x' | b'X'));
    !is_joined && !is_id && behind != Some(b'_')
}
