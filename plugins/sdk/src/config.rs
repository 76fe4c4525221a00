//! The configuration that the user gave, read into the author's own type.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};

use crate::abi::exports::audit_host::plugin::lifecycle::ConfigError;

/// The key of an error that belongs to no key.
const ROOT: &str = "config";

/// The configuration as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    json: String,
}

impl Config {
    /// The text as it came from the host: `{}` where the user gave none.
    pub fn new(json: String) -> Self {
        Self { json }
    }

    /// Reads the configuration. Put `#[serde(deny_unknown_fields, default)]` on the type, so that a
    /// mistyped key stops the host instead of being ignored. The error names the key that is wrong.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        // Serde would read a list into a struct as well, field by field.
        if !self.json.trim_start().starts_with('{') {
            return Err(ConfigError::new(ROOT, "a configuration is an object".to_owned()));
        }
        serde_json::from_str(&self.json).map_err(|error| {
            let text = error.to_string();
            // The user wrote TOML, so the position in JSON means nothing; the path does.
            let message = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
            let position = position(&self.json, error.line(), error.column());
            ConfigError::new(&path_at(&self.json, position), message.to_owned())
        })
    }
}

impl ConfigError {
    /// An error in a key, for checks beyond what the type says.
    pub fn new(key: &str, message: String) -> Self {
        Self { key: key.to_owned(), message }
    }
}

/// The byte position of a line and a column, both counted from 1.
fn position(json: &str, line: usize, column: usize) -> usize {
    let lines = json.split_inclusive('\n').take(line.saturating_sub(1));
    lines.map(str::len).sum::<usize>() + column
}

/// One level of nesting on the way to a position.
enum Level {
    Object { key: String, in_key: bool },
    Array { index: usize },
}

/// The path of the key or element that a JSON text is at: `fields.user_email.action`.
fn path_at(json: &str, position: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = json.get(..position).unwrap_or(json);
    while let Some(first) = rest.chars().next() {
        let mut used = first.len_utf8();
        match first {
            '{' => levels.push(Level::Object { key: String::new(), in_key: true }),
            '[' => levels.push(Level::Array { index: 0 }),
            '}' | ']' => drop(levels.pop()),
            ':' | ',' => separate(&mut levels, first),
            '"' => {
                used = string_length(rest);
                let text = rest.get(..used).unwrap_or(rest);
                if let Some(Level::Object { key, in_key: true }) = levels.last_mut() {
                    text.trim_matches('"').clone_into(key);
                }
            }
            _ => {}
        }
        rest = rest.get(used..).unwrap_or("");
    }
    joined(&levels)
}

fn separate(levels: &mut [Level], separator: char) {
    match levels.last_mut() {
        Some(Level::Object { in_key, .. }) => *in_key = separator == ',',
        Some(Level::Array { index }) => *index += 1,
        None => {}
    }
}

/// The length of the string that a text starts with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn joined(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object { key, .. } if key.is_empty() => {}
            Level::Object { key, .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Level::Array { index } => path.extend(["[", &index.to_string(), "]"]),
        }
    }
    if path.is_empty() { ROOT.to_owned() } else { path }
}

/// A length of time, written `90s`, `10m`, `1h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    // Invariant: not negative.
    micros: i64,
}

const SECOND_MICROS: i64 = 1_000_000;
const UNITS: [(char, i64); 4] = [
    ('d', 86_400 * SECOND_MICROS),
    ('h', 3_600 * SECOND_MICROS),
    ('m', 60 * SECOND_MICROS),
    ('s', SECOND_MICROS),
];

impl Span {
    /// So many seconds.
    pub const fn from_secs(secs: u32) -> Self {
        Self { micros: secs as i64 * SECOND_MICROS }
    }

    /// The length in microseconds, as timestamps have it.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().next_back()?;
        let (_, unit_micros) = UNITS.into_iter().find(|&(name, _)| name == unit)?;
        let digits = text.strip_suffix(unit)?;
        // `parse` alone would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let micros = digits.parse::<i64>().ok()?.checked_mul(unit_micros)?;
        Some(Self { micros })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.into_iter().find(|(_, micros)| self.micros % micros == 0);
        match fits {
            Some((unit, micros)) if self.micros > 0 => write!(f, "{}{unit}", self.micros / micros),
            _ => write!(f, "{}s", self.micros / SECOND_MICROS),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

/// A visitor, so that the error is raised where the text stands and `Config` can name the key.
struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number and a unit: \"90s\", \"10m\", \"1h\" or \"7d\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        Span::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        count: u32,
        window: Span,
        inner: BTreeMap<String, Inner>,
        list: Vec<Inner>,
    }

    impl Default for Outer {
        fn default() -> Self {
            Self { count: 1, window: Span::from_secs(1), inner: BTreeMap::new(), list: Vec::new() }
        }
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        action: Action,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Action {
        Mask,
        Keep,
    }

    #[test]
    fn an_error_names_the_key() {
        let cases = [
            (r#"{"cuont": 3}"#, "cuont", "unknown field `cuont`"),
            (r#"{"count": "three"}"#, "count", "invalid type"),
            (r#"{"count": -1}"#, "count", "invalid value"),
            (r#"{"window": "1 hour"}"#, "window", "a whole number and a unit"),
            (r#"{"window": "-1h"}"#, "window", "a whole number and a unit"),
            (r#"{"inner": {"a": {"action": "msak"}}}"#, "inner.a.action", "unknown variant `msak`"),
            ("{\n \"inner\": {\n \"a\": {\"actoin\": 1}}}", "inner.a.actoin", "unknown field"),
            (r#"{"inner": {"a": {}}}"#, "inner.a", "missing field `action`"),
            (
                r#"{"list": [{"action": "mask"}, {"action": 7}]}"#,
                "list[1].action",
                "expected value",
            ),
            ("[1]", "config", "is an object"),
            ("7", "config", "is an object"),
            ("", "config", "is an object"),
            (r#"{"count": 1"#, "count", "EOF"),
        ];
        for (json, key, message) in cases {
            let error = Config::new(json.to_owned()).parse::<Outer>().expect_err(json);
            assert_eq!(error.key, key, "{json}: {}", error.message);
            assert!(error.message.contains(message), "{json}: {}", error.message);
            assert!(!error.message.contains("line"), "{json}: {}", error.message);
        }
    }

    #[test]
    fn spans() {
        for (text, secs) in [("90s", 90), ("10m", 600), ("1h", 3600), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(Span::parse(text), Some(Span::from_secs(secs)), "{text}");
        }
        for text in ["", "h", "1", "+1h", "1.5h", "1w", "99999999999999d", "1 h", "é"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert_eq!(Span::from_secs(3600).to_string(), "1h");
        assert_eq!(Span::from_secs(90).to_string(), "90s");
        assert_eq!(Span::from_secs(0).to_string(), "0s");
    }
}
