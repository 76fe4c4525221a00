//! Values made to cost as much as they can: units of text, repeated and wrapped in encodings.
//!
//! Tests count the work on them, `cargo xtask bench plugin --part worst` times them and searches for worse ones, and the
//! fuzz target `redact` begins with them.

use std::fmt::Write as _;

/// What searches a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// One detector, in free text.
    One(&'static str),
    /// All detectors, in free text.
    All,
    /// All detectors, in `details`, with the paths of the defaults.
    Details,
    /// A column of SQL statements.
    Sql,
}

impl Case {
    pub(crate) const ALL: [Self; 11] = [
        Self::One("email"),
        Self::One("card"),
        Self::One("ssn"),
        Self::One("iban"),
        Self::One("ip"),
        Self::One("phone"),
        Self::One("jwt"),
        Self::One("api-key"),
        Self::All,
        Self::Details,
        Self::Sql,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One(detector) => detector,
            Self::All => "all, free text",
            Self::Details => "all, details",
            Self::Sql => "all, sql-literals",
        }
    }

    pub(crate) fn column(self) -> &'static str {
        if self == Self::Details { "details" } else { "resource_name" }
    }

    pub(crate) fn config(self) -> String {
        let text = r#""details-paths": {"granted_to": "keep"}, "free-text": ["resource_name"]"#;
        let fields = r#""fields": {"user_email": "keep"}"#;
        match self {
            Self::One(detector) => {
                format!(r#"{{{fields}, {text}, "detectors": ["{detector}"]}}"#)
            }
            Self::All => format!("{{{fields}, {text}}}"),
            Self::Details => format!(r#"{{{fields}, "free-text": ["details"]}}"#),
            Self::Sql => {
                let fields = r#"{"user_email": "keep", "resource_name": "sql-literals"}"#;
                format!(
                    r#"{{"fields": {fields}, "details-paths": {{"granted_to": "keep"}}, "free-text": []}}"#
                )
            }
        }
    }
}

/// What the search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) case: Case,
    unit: &'static str,
    layers: &'static [Layer],
    /// Whether it exhausts the budget: only what is encoded several times over does.
    pub(crate) is_exhausting: bool,
}

/// Units of text made to be searched again and again.
pub(crate) const UNITS: &[&str] = &[
    "a%40bb.cc",
    "a@",
    "a@b.cc",
    "4111111111111111a",
    "01 ",
    "0123 ",
    "1 ",
    "1.",
    "1.1.1.1.",
    ":",
    "a:",
    "1::",
    "1:2:",
    "+1 ",
    "1+",
    "(",
    "(1",
    "078-05-1120-",
    "\\",
    "\\\"",
    "\\u0040",
    "[",
    "{\"a\":",
    "\"",
    "\":",
    "é",
    "550e8400-e29b-41d4-a716-446655440000",
    "%25",
    "%2540",
    "\u{200b}4",
    "key=",
    "key=\"",
    "password=\\\"",
    "password    ",
    "key=aB3xY9qLw8Xv2Bc7",
    "token=a1",
    "granted_to",
    "granted_to:",
    "Bearer a.",
    "Bearer ",
    "eyJ",
    "eyJ.",
    "eyJhbGciOiJIUzI1NiJ9.",
    "ghp_",
    "Ym9iQGV4YW1wbGUuY29t",
    "Ym9iQGV4YW1wbGUuY29tYm9iQGV4YW1wbGUuY29tYm9iQGV4YW1wbGUuY29tYm9i\n",
    "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\n",
    "Ym9i/",
    "AGIAbw",
    "DE89 ",
    "DE89",
    "DE89370400440532013000",
    "4.11111e15 ",
    "123456789e",
    "'",
    "x1",
];

use Layer::{Array, Base64, Escaped, Json, Mime, Noise, Percent, PercentAgain, Plus};

/// Nothing but units.
const BARE: &[Layer] = &[];
/// As a mail in a form in a log of a gateway might be, each of which encodes what it gets.
pub(crate) const NESTED: &[Layer] = &[Noise, Base64, Noise, Base64, Noise, Base64, Noise];

/// What the search found, and what was sent.
pub(crate) const FOUND: &[Found] = &[
    Found { case: Case::One("api-key"), unit: "pwdghp_", layers: BARE, is_exhausting: false },
    Found { case: Case::One("api-key"), unit: "passwordghp_", layers: BARE, is_exhausting: false },
    Found {
        case: Case::One("api-key"),
        unit: "a%40bb.ccxoxb-é@é.éé\\xoxb-Ym9i/]",
        layers: &[Json, Mime, Percent, Json, Noise],
        is_exhausting: true,
    },
    Found {
        case: Case::One("email"),
        unit: ",%@",
        layers: &[Escaped, Noise, Escaped, Plus],
        is_exhausting: true,
    },
    Found {
        case: Case::One("email"),
        unit: "password=[passwordé@é.éé]‐[",
        layers: BARE,
        is_exhausting: false,
    },
    Found {
        case: Case::One("iban"),
        unit: "\\\\é%40é.ééé%40é.ééAGJvYkBleGFtcGxlLmNvbQBodW50ZXIy[}411",
        layers: &[Noise],
        is_exhausting: true,
    },
    Found {
        case: Case::One("ip"),
        unit: "AGJvYkBleGFtcGxlLmNvbQBodW50ZXIya=a $a$+49 ",
        layers: &[Plus, PercentAgain, Mime, Noise, Mime, Mime],
        is_exhausting: true,
    },
    Found {
        case: Case::One("jwt"),
        unit: "#‐Ym9iYm9iYm9ikey=",
        layers: &[Escaped, Noise, Noise, Plus, Noise],
        is_exhausting: true,
    },
    Found { case: Case::All, unit: "b", layers: NESTED, is_exhausting: true },
    Found { case: Case::All, unit: "4000 4000 ", layers: &[Noise, Escaped], is_exhausting: true },
    Found { case: Case::Details, unit: "b", layers: NESTED, is_exhausting: true },
    Found {
        case: Case::Details,
        unit: "[10.0.0.14.111111111111111e15aB3 Ym9i",
        layers: &[Noise, Plus, Plus],
        is_exhausting: true,
    },
    Found { case: Case::Details, unit: "\"\",", layers: &[Array], is_exhausting: false },
    Found { case: Case::Sql, unit: "LC00+", layers: BARE, is_exhausting: false },
];

impl Found {
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe::new(self.unit, self.layers)
    }
}

/// A unit of text and what it is wrapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) unit: String,
    /// From the inside to the outside.
    pub(crate) layers: Vec<Layer>,
}

/// One way to wrap a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// RFC 4648 with padding.
    Base64,
    /// The same in lines of 76 characters.
    Mime,
    /// Each byte that is no letter and no digit as `%XX`.
    Percent,
    /// Each `%` as `%25`.
    PercentAgain,
    /// The content of a JSON string.
    Escaped,
    /// Each byte as `\u00XX`.
    Unicode,
    /// Each space as `+`.
    Plus,
    /// With text on both sides that every way of decoding changes.
    Noise,
    /// A JSON document with the text as its only string.
    Json,
    /// A JSON array of the text, if that is items with a comma behind each.
    Array,
}

impl Layer {
    pub(crate) const ALL: [Self; 10] = [
        Self::Base64,
        Self::Mime,
        Self::Percent,
        Self::PercentAgain,
        Self::Escaped,
        Self::Unicode,
        Self::Plus,
        Self::Noise,
        Self::Json,
        Self::Array,
    ];

    fn wrap(self, text: &str) -> String {
        match self {
            Self::Base64 => base64(text.as_bytes(), usize::MAX),
            Self::Mime => base64(text.as_bytes(), 76),
            Self::Percent => text.bytes().fold(String::new(), |mut out, byte| {
                if byte.is_ascii_alphanumeric() {
                    out.push(char::from(byte));
                } else {
                    let _ = write!(out, "%{byte:02X}");
                }
                out
            }),
            Self::PercentAgain => text.replace('%', "%25"),
            Self::Escaped => text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"),
            Self::Unicode => text.bytes().fold(String::new(), |mut out, byte| {
                let _ = write!(out, "\\u{byte:04x}");
                out
            }),
            Self::Plus => text.replace(' ', "+"),
            Self::Noise => format!("{NOISE}{text}{NOISE}"),
            Self::Json => format!("{{\"a\":\"{}\"}}", Self::Escaped.wrap(text)),
            Self::Array => format!("[{text}0]"),
        }
    }
}

/// Longer text is wrapped no further: each layer may make it six times as long.
const WRAPPED_BYTES_MAX: usize = 2 << 20;

/// An `A` in three layers of percent-encoding, the plus of forms, and escapes.
const NOISE: &str = " %252541 a+b \\\\n \\u0041 ";

impl Recipe {
    /// Reads what a fuzzer made up: the case, the layers, then the unit.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<(Case, Self)> {
        const LAYERS_MAX: usize = 7;
        let (&[case, n_layers], rest) = bytes.split_first_chunk()?;
        let (layers, unit) = rest.split_at_checked(usize::from(n_layers) % (LAYERS_MAX + 1))?;
        let case = Case::ALL[usize::from(case) % Case::ALL.len()];
        let layer = |byte: &u8| Layer::ALL[usize::from(*byte) % Layer::ALL.len()];
        let layers = layers.iter().map(layer).collect();
        let unit = String::from_utf8_lossy(unit).into_owned();
        (!unit.is_empty()).then_some((case, Self { unit, layers }))
    }

    /// What [`Self::of_bytes`] reads.
    pub(crate) fn to_bytes(&self, case: Case) -> Vec<u8> {
        let place = |found: Option<usize>| found.unwrap_or(0) as u8;
        let mut bytes = vec![place(Case::ALL.iter().position(|other| *other == case))];
        bytes.push(self.layers.len() as u8);
        let layers = self.layers.iter();
        bytes.extend(layers.map(|layer| place(Layer::ALL.iter().position(|other| other == layer))));
        bytes.extend_from_slice(self.unit.as_bytes());
        bytes
    }

    pub(crate) fn new(unit: &str, layers: &[Layer]) -> Self {
        Self { unit: unit.to_owned(), layers: layers.to_vec() }
    }

    /// The value of about so many bytes, and of two units at least.
    pub(crate) fn value(&self, length: usize) -> String {
        let once = self.wrapped(2);
        // How much more each unit adds. Layers are left out of what is long already, so that more may be shorter.
        let growth = self.wrapped(10).len().saturating_sub(once.len()).max(8) / 8;
        self.wrapped(2 + length.saturating_sub(once.len()) / growth)
    }

    fn wrapped(&self, n_units: usize) -> String {
        let text = self.unit.repeat(n_units);
        let wrap = |text: String, layer: &Layer| {
            if text.len() > WRAPPED_BYTES_MAX { text } else { layer.wrap(&text) }
        };
        self.layers.iter().fold(text, wrap)
    }
}

/// The alphabet is the standard one.
fn base64(bytes: &[u8], line: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    let mut n_chars = 0;
    for bytes in bytes.chunks(3) {
        let bits = bytes.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - bytes.len()));
        for at in 0..4 {
            let is_padding = at > bytes.len();
            let sextet = (bits >> (18 - 6 * at)) & 63;
            out.push(if is_padding { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
        n_chars += 4;
        if n_chars >= line {
            out.push('\n');
            n_chars = 0;
        }
    }
    out
}
