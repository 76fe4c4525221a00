//! Personal data of made-up customers, as applications leave it in audit logs: in the text of a
//! query, in a note, in a nested object. From a fixed number of customers, so that the list of all
//! that was emitted stays small for a stream of any length.

use serde::{Deserialize, Serialize};

use crate::random::{Dice as _, Draws, Stream};
use crate::users::{FIRST_NAMES, LAST_NAMES};

/// One event in this many has data of a customer.
const EVENTS_PER_REMARK: u32 = 4;
const N_CUSTOMERS: usize = 1000;

/// What a sensitive literal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PiiKind {
    Email,
    /// 15 or 16 digits that pass Luhn, alone or in groups by spaces or hyphens.
    Card,
    /// `123-45-6789`, with an area that is given out.
    Ssn,
    /// American in five spellings, British mobile; all from the ranges kept for fiction.
    Phone,
    /// IPv4 from 172.16.0.0/12, where no `ip_address` of an event comes from.
    IpAddress,
}

use PiiKind::{Card, Email, IpAddress, Phone, Ssn};

const KINDS: [PiiKind; 5] = [Email, Card, Ssn, Phone, IpAddress];

enum Part {
    Text(&'static str),
    Value(PiiKind),
}

use Part::{Text, Value};

/// Replacements for the text of a query.
const QUERIES: [&[Part]; 5] = [
    &[Text("SELECT * FROM customer_data.customers WHERE email = '"), Value(Email), Text("'")],
    &[Text("SELECT id FROM customer_data.customers WHERE ssn = '"), Value(Ssn), Text("'")],
    &[
        Text("UPDATE customer_data.customers SET phone = '"),
        Value(Phone),
        Text("' WHERE email='"),
        Value(Email),
        Text("'"),
    ],
    &[
        Text("SELECT * FROM customer_data.payments WHERE card_number IN ('"),
        Value(Card),
        Text("')"),
    ],
    &[Text("DELETE FROM customer_data.visits WHERE client_ip = '"), Value(IpAddress), Text("'")],
];

/// Further fields of the object in `details`, with the escapes of JSON within JSON.
const REMARKS: [&[Part]; 7] = [
    &[Text(r#", \"note\": \"customer "#), Value(Email), Text(r#" asked for a copy\""#)],
    &[
        Text(r#", \"note\": \"refund to card "#),
        Value(Card),
        Text(" confirmed by phone "),
        Value(Phone),
        Text(r#".\""#),
    ],
    &[Text(r#", \"note\": \"identity checked (SSN "#), Value(Ssn), Text(r#")\""#)],
    &[
        // Python escapes the umlaut in the inner JSON, and its backslash in the outer one.
        Text(r#", \"note\": \"R\\u00fcckruf an "#),
        Value(Phone),
        Text(", Zugriff von "),
        Value(IpAddress),
        Text(r#"\""#),
    ],
    &[
        Text(r#", \"customer\": {\"email\": \""#),
        Value(Email),
        Text(r#"\", \"phone\": \""#),
        Value(Phone),
        Text(r#"\"}"#),
    ],
    &[Text(r#", \"payment\": {\"card_number\": \""#), Value(Card), Text(r#"\"}"#)],
    &[Text(r#", \"client\": \""#), Value(IpAddress), Text(r#"\""#)],
];

struct Customer {
    /// In the order of [`KINDS`].
    literals: [String; KINDS.len()],
    emitted: [bool; KINDS.len()],
}

pub(crate) struct Customers {
    draws: Draws,
    customers: Vec<Customer>,
}

impl Customers {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draws = Draws::new(seed, Stream::Pii);
        let customers = (0..N_CUSTOMERS).map(|_| customer(&mut draws)).collect();
        Self { draws, customers }
    }

    pub(crate) fn turn_to(&mut self, nonce: u64) {
        self.draws = Draws::new(nonce, Stream::Pii);
    }

    /// Writes the text of a query with data of a customer, or nothing and `false`.
    pub(crate) fn query(&mut self, out: &mut Vec<u8>) -> bool {
        self.emit(&QUERIES, out)
    }

    /// Writes further fields now and then.
    pub(crate) fn remark(&mut self, out: &mut Vec<u8>) {
        self.emit(&REMARKS, out);
    }

    /// Every literal written so far.
    pub(crate) fn emitted(&self) -> impl Iterator<Item = (String, PiiKind)> {
        self.customers.iter().flat_map(|customer| {
            let literals = customer.literals.iter().zip(KINDS).zip(customer.emitted);
            literals
                .filter(|(_, emitted)| *emitted)
                .map(|((literal, kind), _)| (literal.clone(), kind))
        })
    }

    fn emit(&mut self, templates: &[&[Part]], out: &mut Vec<u8>) -> bool {
        if self.draws.below(EVENTS_PER_REMARK) != 0 {
            return false;
        }
        let customer = &mut self.customers[self.draws.below(N_CUSTOMERS as u32) as usize];
        for part in self.draws.pick(templates) {
            match part {
                Text(text) => out.extend_from_slice(text.as_bytes()),
                Value(kind) => {
                    customer.emitted[*kind as usize] = true;
                    out.extend_from_slice(customer.literals[*kind as usize].as_bytes());
                }
            }
        }
        true
    }
}

fn customer(draws: &mut Draws) -> Customer {
    let email = format!(
        "{}.{}{}@{}",
        draws.pick(&FIRST_NAMES),
        draws.pick(&LAST_NAMES),
        draws.between(1, 999),
        draws.pick(&["example.com", "example.org", "mail.example.net"]),
    );
    let ssn = format!(
        "{}-{:02}-{:04}",
        draws.between(100, 665),
        draws.between(1, 99),
        draws.between(1, 9999)
    );
    let address = format!(
        "172.{}.{}.{}",
        draws.between(16, 31),
        draws.between(0, 255),
        draws.between(1, 254)
    );
    let literals = [email, card(draws), ssn, phone(draws), address];
    Customer { literals, emitted: [false; KINDS.len()] }
}

fn card(draws: &mut Draws) -> String {
    let is_amex = draws.below(5) == 0;
    let (prefix, length) =
        if is_amex { ("37", 15) } else { (draws.pick(&["4", "51", "52", "53", "54", "55"]), 16) };
    let mut number = prefix.to_owned();
    while number.len() < length - 1 {
        number.push(char::from(b'0' + draws.below(10) as u8));
    }
    number.push(char::from(b'0' + luhn_digit(number.as_bytes())));
    let groups: &[usize] = if is_amex { &[4, 6, 5] } else { &[4, 4, 4, 4] };
    match draws.pick(&[None, Some(' '), Some('-')]) {
        None => number,
        Some(separator) => grouped(&number, groups, separator),
    }
}

/// The digit that makes a number pass Luhn when it follows `digits`.
fn luhn_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match (place % 2, digit) {
                (0, 5..) => digit * 2 - 9,
                (0, _) => digit * 2,
                _ => digit,
            }
        })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

fn grouped(number: &str, groups: &[usize], separator: char) -> String {
    let mut text = String::new();
    let mut digits = number.chars();
    for length in groups {
        if !text.is_empty() {
            text.push(separator);
        }
        text.extend(digits.by_ref().take(*length));
    }
    text
}

fn phone(draws: &mut Draws) -> String {
    let area = draws.pick(&[202, 212, 312, 404, 415, 512, 617, 702, 713, 808]);
    let line = draws.between(100, 199);
    match draws.below(6) {
        0 => format!("+1 {area}-555-0{line}"),
        1 => format!("+1{area}5550{line}"),
        2 => format!("({area}) 555-0{line}"),
        3 => format!("{area}-555-0{line}"),
        4 => format!("{area}.555.0{line}"),
        _ => format!("+44 7700 900{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_digits_are_those_of_known_test_cards() {
        assert_eq!(luhn_digit(b"411111111111111"), 1);
        assert_eq!(luhn_digit(b"555555555555444"), 4);
        assert_eq!(luhn_digit(b"37828224631000"), 5);
    }

    #[test]
    fn cards_are_grouped_as_printed() {
        assert_eq!(grouped("378282246310005", &[4, 6, 5], ' '), "3782 822463 10005");
        assert_eq!(grouped("4111111111111111", &[4, 4, 4, 4], '-'), "4111-1111-1111-1111");
    }
}
