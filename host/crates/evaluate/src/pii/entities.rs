//! Made-up personal data: valid by form, but of no real person.

use super::base64::base64;
use super::random::{Random, Split};

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entity {
    Email,
    Card,
    Ssn,
    Iban,
    Ip,
    Phone,
    ApiKey,
    Jwt,
}

impl Entity {
    pub(super) const ALL: [Self; 8] = [
        Self::Email,
        Self::Card,
        Self::Ssn,
        Self::Iban,
        Self::Ip,
        Self::Phone,
        Self::ApiKey,
        Self::Jwt,
    ];

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "e-mail",
            Self::Card => "card",
            Self::Ssn => "SSN",
            Self::Iban => "IBAN",
            Self::Ip => "IP address",
            Self::Phone => "phone",
            Self::ApiKey => "API key",
            Self::Jwt => "JWT",
        }
    }

    /// What the plugin puts in its place, without brackets.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Card => "CARD",
            Self::Ssn => "SSN",
            Self::Iban => "IBAN",
            Self::Ip => "IP",
            Self::Phone => "PHONE",
            Self::ApiKey => "API_KEY",
            Self::Jwt => "JWT",
        }
    }
}

/// The entity that a template asks for: `any` is any of them.
pub(super) fn named(name: &str, random: &mut Random) -> Option<Entity> {
    Some(match name {
        "any" => random.pick(&Entity::ALL),
        "email" => Entity::Email,
        "card" => Entity::Card,
        "ssn" => Entity::Ssn,
        "iban" => Entity::Iban,
        "ip" => Entity::Ip,
        "phone" => Entity::Phone,
        "api-key" => Entity::ApiKey,
        "jwt" => Entity::Jwt,
        _ => return None,
    })
}

/// A value of an entity.
pub(super) fn value(entity: Entity, split: Split, random: &mut Random) -> String {
    match entity {
        Entity::Email => email(split, random),
        Entity::Card => card(split, random),
        Entity::Ssn => ssn(random),
        Entity::Iban => iban(split, random),
        Entity::Ip if random.one_in(2) => ipv6(random),
        Entity::Ip => ipv4(random),
        Entity::Phone => phone(split, random),
        Entity::ApiKey => api_key(random),
        Entity::Jwt => jwt(split, random),
    }
}

fn email(split: Split, random: &mut Random) -> String {
    let first = random.pick(split.choose(
        &["alice", "bob", "jürgen", "wei", "j.smith", "o'neill", "k_lee", "дмитрий", "d'arcy"][..],
        &["noor", "bjørn", "i.garcía", "t_suzuki", "l'hoste", "павел", "abebe", "anne-marie"][..],
    ));
    let last = random.pick(split.choose(
        &["", ".jones", "+news", "_ops", "42", ".okafor", "-ext"][..],
        &["", ".nkosi", "+alerts.eu", "_2nd", "1987", "-hr"][..],
    ));
    let domain = random.pick(split.choose(
        &[
            "example.com",
            "mail.company.co.uk",
            "x.org",
            "müller.de",
            "sub.corp.example.net",
            "пример.рф",
        ][..],
        &["uni.example", "kundencenter.versicherung.at", "z9.dev", "españa.es", "mx1.gov.za"][..],
    ));
    format!("{first}{last}@{domain}")
}

fn card(split: Split, random: &mut Random) -> String {
    // First digits and lengths: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay.
    let (prefix, length) =
        random.pick(
            split.choose(
                &[
                    ("4", 16),
                    ("51", 16),
                    ("37", 15),
                    ("6011", 16),
                    ("3530", 16),
                    ("55", 16),
                    ("36", 14),
                ][..],
                &[
                    ("4", 16),
                    ("4", 19),
                    ("2720", 16),
                    ("53", 16),
                    ("34", 15),
                    ("38", 14),
                    ("65", 16),
                ][..],
            ),
        );
    let body = format!("{prefix}{}", random.digits(length - 1 - prefix.len()));
    let digits = with_luhn(&body);
    let separator = random.pick(&["", "", " ", "-"]);
    match length {
        15 => grouped(&digits, &[4, 6, 5], separator),
        14 => grouped(&digits, &[4, 6, 4], separator),
        _ => grouped(&digits, &[4, 4, 4, 4, 3], separator),
    }
}

/// Digits with the check digit of ISO/IEC 7812 behind them.
pub(super) fn with_luhn(body: &str) -> String {
    let sum: u32 = body
        .chars()
        .rev()
        .filter_map(|character| character.to_digit(10))
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, double) if double > 9 => double - 9,
            (0, double) => double,
            _ => digit,
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn grouped(digits: &str, lengths: &[usize], separator: &str) -> String {
    let mut groups = Vec::new();
    let mut rest = digits;
    for &length in lengths {
        let (group, behind) = rest.split_at(length.min(rest.len()));
        if !group.is_empty() {
            groups.push(group);
        }
        rest = behind;
    }
    groups.join(separator)
}

fn ssn(random: &mut Random) -> String {
    let area = loop {
        let area = random.between(1, 899);
        if area != 666 {
            break area;
        }
    };
    let separator = random.pick(&["-", "-", "-", " "]);
    let (group, serial) = (random.between(1, 99), random.between(1, 9999));
    format!("{area:03}{separator}{group:02}{separator}{serial:04}")
}

/// ISO 13616, of countries whose account numbers are digits, or letters and digits (`a` a letter, `n` a
/// digit, `c` either).
fn iban(split: Split, random: &mut Random) -> String {
    let (country, form) = random.pick(split.choose(
        &[
            ("DE", "nnnnnnnnnnnnnnnnnn"),
            ("GB", "aaaannnnnnnnnnnnnn"),
            ("FR", "nnnnnnnnnncccccccccccnn"),
            ("NL", "aaaannnnnnnnnn"),
            ("BE", "nnnnnnnnnnnn"),
            ("ES", "nnnnnnnnnnnnnnnnnnnn"),
            ("MT", "aaaannnnncccccccccccccccccc"),
        ][..],
        &[
            ("AT", "nnnnnnnnnnnnnnnn"),
            ("IT", "annnnnnnnnncccccccccccc"),
            ("PL", "nnnnnnnnnnnnnnnnnnnnnnnn"),
            ("CH", "nnnnncccccccccccc"),
            ("NO", "nnnnnnnnnnn"),
            ("SA", "nncccccccccccccccccc"),
            ("LV", "aaaaccccccccccccc"),
        ][..],
    ));
    let mut account = String::new();
    for form in form.chars() {
        let alphabet: &[u8] = match form {
            'a' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            'n' => b"0123456789",
            // Most account numbers have few letters, if any.
            _ if random.one_in(5) => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            _ => b"0123456789",
        };
        account.push_str(&random.of(alphabet, 1));
    }
    let number = format!("{country}{}{account}", check_digits(country, &account));
    match random.below(4) {
        0 => grouped(&number, &[4; 9], " "),
        1 => number.to_lowercase(),
        _ => number,
    }
}

/// ISO 7064, MOD 97-10.
fn check_digits(country: &str, account: &str) -> String {
    let mut remainder = 0;
    for character in format!("{account}{country}00").chars() {
        let value = character.to_digit(36).unwrap_or(0);
        remainder = (remainder * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    format!("{:02}", 98 - remainder)
}

pub(super) fn ipv4(random: &mut Random) -> String {
    let octets = [random.between(1, 223), random.below(256), random.below(256), random.below(256)];
    octets.map(|octet| octet.to_string()).join(".")
}

fn ipv6(random: &mut Random) -> String {
    let mut groups: [u16; 8] = std::array::from_fn(|_| random.below(0x1_0000) as u16);
    groups[0] = random.pick(&[0x2001, 0x2a02, 0x2607, 0xfe80, 0xfd12]);
    if random.one_in(2) {
        groups[3..7].fill(0);
    }
    let text = std::net::Ipv6Addr::from(groups).to_string();
    if random.one_in(5) { text.to_uppercase() } else { text }
}

/// Numbers in the forms of several countries: `d` is a digit, `D` one from 2 to 9.
fn phone(split: Split, random: &mut Random) -> String {
    let form = random.pick(split.choose(
        &[
            "+1 (Ddd) Ddd-dddd",
            "+1DddDdddddd",
            "(Ddd) Ddd-dddd",
            "Ddd-Ddd-dddd",
            "+49 30 dddddd",
            "+49 151 dddddddd",
            "+44 20 7ddd dddd",
            "+33 6 dd dd dd dd",
            "030 dddddddd",
            "06 dd dd dd dd",
            "+1-Ddd-Ddd-dddd",
            "Ddd.Ddd.dddd",
            "1 Ddd Ddd dddd",
            "(Ddd)Ddd-dddd",
            "+34 6dd ddd ddd",
            "+91 9dddd ddddd",
            "+358401234ddd",
            "0171-ddddddd",
            "(02) 9ddd dddd",
            "+43 (0)1 ddddddd",
            "0033 1 dd dd dd dd",
            "020 7ddd dddd",
        ][..],
        &[
            "+1 Ddd.Ddd.dddd",
            "+1 Ddd Ddd dddd",
            "Ddd Ddd dddd",
            "1-Ddd-Ddd-dddd",
            "(Ddd) Ddd dddd",
            "+31 6 dddddddd",
            "+46 70 ddd dd dd",
            "+27 82 ddd dddd",
            "+52 55 dddd dddd",
            "+81 3-dddd-dddd",
            "+353 1 ddd dddd",
            "+7 495 ddd-dd-dd",
            "+49891234ddddd",
            "(0171) ddddddd",
            "0049 30 dddddd",
            "01 dd dd dd dd",
            "07ddd dddddd",
        ][..],
    ));
    let write = |sign: char| match sign {
        'd' => random.digits(1),
        'D' => random.between(2, 9).to_string(),
        other => other.to_string(),
    };
    form.chars().map(write).collect()
}

fn api_key(random: &mut Random) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    match random.below(6) {
        0 => format!("AKIA{}", random.of(UPPER, 16)),
        1 => format!("ghp_{}", random.of(LETTERS, 36)),
        2 => {
            let (first, second) = (random.digits(12), random.digits(12));
            format!("xoxb-{first}-{second}-{}", random.of(LETTERS, 24))
        }
        3 => format!("sk_live_{}", random.of(LETTERS, 24)),
        4 => format!("AIza{}", random.of(LETTERS, 35)),
        _ => format!("github_pat_{}_{}", random.of(LETTERS, 22), random.of(LETTERS, 59)),
    }
}

fn jwt(split: Split, random: &mut Random) -> String {
    const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let algorithm = random.pick(split.choose(&["HS256", "RS256"][..], &["ES256", "EdDSA"][..]));
    let part = |text: String| base64(&text).replace('+', "-").replace('/', "_").replace('=', "");
    let header = part(format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
    let body = part(format!("{{\"sub\":\"{}\",\"exp\":{}}}", random.hex(8), random.digits(10)));
    format!("{header}.{body}.{}", random.of(BASE64URL, 43))
}
