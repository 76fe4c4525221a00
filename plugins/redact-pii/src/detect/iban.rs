//! International bank account numbers, ISO 13616: a country, two check digits, and as many letters and
//! digits as the country's numbers have. The check is ISO 7064, MOD 97-10. Groups may be joined by
//! single spaces, dashes or the `+` of forms.

use std::cmp::Ordering;

use super::byte::{before, is_alphanumeric};

/// The lengths of the registry, in the order of the countries' codes.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// The number whose check digits start at a position: where it starts and where it ends.
pub(crate) fn at(text: &[u8], digits: usize) -> Option<(usize, usize)> {
    let start = digits.checked_sub(2)?;
    let country = [text[start].to_ascii_uppercase(), text[start + 1].to_ascii_uppercase()];
    if !country.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    // `IBANDE89…` and `ibanDE89…` run into the number, other letters and digits make it an id.
    let is_free = !is_alphanumeric(before(text, start))
        || text[..start].last_chunk::<4>().is_some_and(|word| word.eq_ignore_ascii_case(b"iban"));
    if !is_free {
        return None;
    }
    let length = length_of(country)?;
    let mut remainder = Remainder::default();
    let mut n_taken = 0;
    let mut at = start;
    let mut check_part = [0; 4];
    loop {
        let byte = *text.get(at)?;
        if byte.is_ascii_alphanumeric() {
            match check_part.get_mut(n_taken) {
                Some(place) => *place = byte,
                None => remainder.add(byte),
            }
            n_taken += 1;
            at += 1;
            if n_taken == length {
                break;
            }
        } else if matches!(byte, b' ' | b'-' | b'+')
            && n_taken >= 4
            && text[at - 1].is_ascii_alphanumeric()
        {
            at += 1;
        } else {
            return None;
        }
    }
    for byte in check_part {
        remainder.add(byte);
    }
    let has_digits = check_part[2..].iter().all(u8::is_ascii_digit);
    (has_digits && remainder.0 == 1 && !is_alphanumeric(text.get(at).copied()))
        .then_some((start, at))
}

fn length_of(country: [u8; 2]) -> Option<usize> {
    let index = LENGTHS.binary_search_by(|(own, _)| match own[0].cmp(&country[0]) {
        Ordering::Equal => own[1].cmp(&country[1]),
        other => other,
    });
    index.ok().map(|index| LENGTHS[index].1)
}

/// The number so far, modulo 97, where a letter counts as two digits: A is 10.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    fn add(&mut self, byte: u8) {
        self.0 = match byte {
            b'0'..=b'9' => self.0 * 10 + u32::from(byte - b'0'),
            _ => self.0 * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10,
        } % 97;
    }
}
