//! Which numbers are those of a card by their form: a list of issuers that owes nothing to the plugin's, so
//! that what the plugin takes for a card is not what makes it one.

/// The first digits of a scheme, from and to, and how many digits its numbers have.
const ISSUERS: &[(&str, &str, &[usize])] = &[
    // Visa.
    ("4", "4", &[13, 16, 19]),
    // Mastercard.
    ("51", "55", &[16]),
    ("2221", "2720", &[16]),
    // American Express.
    ("34", "34", &[15]),
    ("37", "37", &[15]),
    // Diners Club, its old lengths and those of today.
    ("300", "305", &[14, 16, 19]),
    ("3095", "3095", &[14, 16, 19]),
    ("36", "36", &[14, 16, 19]),
    ("38", "39", &[14, 16, 19]),
    // JCB.
    ("3528", "3589", &[16, 17, 18, 19]),
    // Discover.
    ("6011", "6011", &[16, 17, 18, 19]),
    ("644", "649", &[16, 17, 18, 19]),
    ("65", "65", &[16, 17, 18, 19]),
    // UnionPay.
    ("62", "62", &[16, 17, 18, 19]),
    // Mir.
    ("2200", "2204", &[16, 17, 18, 19]),
    // Maestro, as far as numbers are known to be given out.
    ("5018", "5018", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("5020", "5020", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("5038", "5038", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("5893", "5893", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("6304", "6304", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("6759", "6763", &[12, 13, 14, 15, 16, 17, 18, 19]),
    // Dankort, RuPay, Verve, Troy, UzCard, Humo.
    ("5019", "5019", &[16]),
    ("60", "60", &[16]),
    ("81", "82", &[16]),
    ("508", "508", &[16]),
    ("5060", "5061", &[16, 18, 19]),
    ("6500", "6500", &[16, 18, 19]),
    ("9792", "9792", &[16]),
    ("8600", "8600", &[16]),
    ("9860", "9860", &[16]),
];

/// Whether digits, blanks and dashes have a first digits, a length and the check digit of a card.
pub(super) fn is_card(text: &str) -> bool {
    let is_part = |character: char| character.is_ascii_digit() || matches!(character, ' ' | '-');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    text.chars().all(is_part) && has_issuer(&digits) && passes_luhn(&digits)
}

fn has_issuer(digits: &str) -> bool {
    ISSUERS.iter().any(|(first, last, lengths)| {
        let is_within =
            digits.get(..first.len()).is_some_and(|start| start >= *first && start <= *last);
        is_within && lengths.contains(&digits.len())
    })
}

/// ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &str) -> bool {
    let digits = digits.chars().rev().filter_map(|character| character.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that schemes and payment services give out for tests.
    #[test]
    fn issuers_lengths_and_check_digits() {
        let cards = [
            "4111111111111111",
            "4222222222222",
            "5555 5555 5555 4444",
            "2223003122003222",
            "3782-822463-10005",
            "6011111111111117",
            "3056930009020004",
            "36227206271667",
            "3566002020360505",
            "6200000000000005",
            "6759649826438453",
        ];
        for card in cards {
            assert!(is_card(card), "{card}");
        }
        let others = ["", "4111111111111112", "411111111111111", "1111111111111117", "4111.1111"];
        for other in others {
            assert!(!is_card(other), "{other}");
        }
    }
}
