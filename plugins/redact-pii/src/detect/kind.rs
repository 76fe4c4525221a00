//! The kinds of personal data, and where they were found.

use audit_plugin_sdk::serde;

/// A kind of personal data. Overlapping matches get the first of their kinds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// An email address.
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
    /// Text with more layers of encoding than legitimate text has.
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

    /// Its name in the configuration.
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

    /// The replacement of a redacted match.
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

/// The enabled kinds.
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

    /// Whether the names of values matter.
    pub(crate) fn has_labels(self) -> bool {
        let kinds = [Kind::ApiKey, Kind::Phone, Kind::Ssn, Kind::Iban, Kind::Card];
        kinds.into_iter().any(|kind| self.has(kind))
    }
}

/// A match in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// Merged from overlapping matches, or found in encoded text, so that it does not have the form of its
    /// kind.
    pub(crate) is_merged: bool,
}

impl Match {
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start, end, kind, is_merged: false }
    }
}
