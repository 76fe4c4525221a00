//! Finds personal data in text, by rules with validators instead of patterns alone.
//!
//! The search stops at few kinds of byte only: `@`, `:`, `=`, the first digit of a number and the first
//! letter of a long word. Every byte is looked at a bounded number of times, whatever the text.

mod base64;
mod card;
mod email;
mod finder;
mod fold;
mod iban;
mod ipv4;
mod ipv6;
mod jwt;
pub(crate) mod label;
mod number;
mod phone;
mod secret;
mod ssn;
pub(crate) mod value;
pub(crate) mod word;

use audit_plugin_sdk::serde;

pub(crate) use card::{is_card_written, whole_digits};
pub(crate) use email::is_email;
pub(crate) use finder::Finder;
pub(crate) use iban::at as iban_at;
pub(crate) use label::Label;
pub(crate) use secret::ends_with_scheme;

/// What was found. Where matches overlap, the first of these names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// An e-mail address.
    Email,
    /// A payment card number.
    Card,
    /// A United States social security number.
    Ssn,
    /// An international bank account number.
    Iban,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A telephone number.
    Phone,
    /// A JSON Web Token.
    Jwt,
    /// A password, a key or a token.
    ApiKey,
    /// Text in more layers of encoding than anything honest has.
    #[serde(skip)]
    Unreadable,
}

impl Kind {
    /// The number of kinds.
    pub(crate) const COUNT: usize = Self::Unreadable as usize + 1;

    pub(crate) const ALL: [Self; 8] = [
        Self::Email,
        Self::Card,
        Self::Ssn,
        Self::Iban,
        Self::Ip,
        Self::Phone,
        Self::Jwt,
        Self::ApiKey,
    ];

    /// How the configuration names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::Jwt => "jwt",
            Self::ApiKey => "api-key",
            Self::Unreadable => "unreadable",
        }
    }

    /// What stands in the place of a match that is redacted.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Card => "[CARD]",
            Self::Ssn => "[SSN]",
            Self::Iban => "[IBAN]",
            Self::Ip => "[IP]",
            Self::Phone => "[PHONE]",
            Self::Jwt => "[JWT]",
            Self::ApiKey => "[API_KEY]",
            Self::Unreadable => "[REDACTED]",
        }
    }
}

/// The detectors that are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds {
    bits: u16,
}

impl Kinds {
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        let bits = kinds.iter().fold(0, |bits, &kind| bits | 1 << kind as u16);
        Self { bits }
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.bits & (1 << kind as u16) != 0
    }

    pub(crate) fn without(self, kind: Kind) -> Self {
        Self { bits: self.bits & !(1 << kind as u16) }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.bits == 0
    }

    pub(crate) fn has_numbers(self) -> bool {
        let kinds = [Kind::Card, Kind::Ssn, Kind::Iban, Kind::Ip, Kind::Phone];
        kinds.into_iter().any(|kind| self.has(kind))
    }

    /// Whether names of values matter.
    pub(crate) fn has_labels(self) -> bool {
        let kinds = [Kind::ApiKey, Kind::Phone, Kind::Ssn, Kind::Iban, Kind::Card];
        kinds.into_iter().any(|kind| self.has(kind))
    }
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// Made of several matches that overlap, or found in a disguise, so that it has not the shape of its
    /// kind.
    pub(crate) is_merged: bool,
}

impl Match {
    fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start, end, kind, is_merged: false }
    }
}

/// The byte before a position.
fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

fn is_alphanumeric(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn is_letter(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphabetic())
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}
