//! The number of rows of an export, from the JSON text of `details`.
//!
//! The text may be anything: not JSON, truncated, nested without end. What can be parsed counts, and the export
//! counts in any case.

use std::cell::Cell;
use std::fmt;

use audit_plugin_sdk::serde::de::{
    self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// The part of the text that is parsed. A longer text is a mistake or an attack.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The largest of the named fields that are non-negative integers, 0 if there are none.
///
/// Fields are taken as they come, so that neither an error further on nor a duplicate field hides one.
pub(crate) fn n_rows(text: &[u8], fields: &[String]) -> u64 {
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    // The most common case: not an object.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return 0;
    }
    let largest = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // The error does not matter here.
    let _ = deserializer.deserialize_map(Fields { fields, largest: &largest });
    largest.get()
}

/// Visits an object.
struct Fields<'a> {
    fields: &'a [String],
    largest: &'a Cell<u64>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_wanted) = map.next_key_seed(Name(self.fields))? {
            if is_wanted {
                let number = map.next_value_seed(Number)?;
                self.largest.set(self.largest.get().max(number));
            } else {
                // Skips a value of any depth without recursion.
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Whether a name is one of the wanted ones. Escapes are decoded.
struct Name<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.0.iter().any(|wanted| wanted == name))
    }
}

/// A non-negative integer; 0 for any other value.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> u64 {
        n_rows(text.as_bytes(), &["rows_exported".to_owned(), "rows".to_owned()])
    }

    #[test]
    fn the_number_of_rows_is_read() {
        let cases = [
            (r#"{"rows_exported": 5000}"#, 5_000),
            (r#" {"format": "CSV", "rows_exported":7, "to": {"rows_exported": 9}}"#, 7),
            (r#"{"rows_exported": 3, "rows": 4}"#, 4),
            (r#"{"rows": 4, "rows": 3}"#, 4),
            (r#"{"rows_\u0065xported": 8}"#, 8),
            (r#"{"rows_exported": 18446744073709551615}"#, u64::MAX),
            (r#"{"rows": null, "rows_exported": 2}"#, 2),
            (r#"{"rows": [1, {"rows": 5}], "rows_exported": 2}"#, 2),
            (r#"{"rows": {"rows_exported": 5}, "rows_exported": 2}"#, 2),
            // What comes before an error counts.
            (r#"{"rows_exported": 6, "note": 1e400"#, 6),
            (r#"{"rows_exported": 6} trailing"#, 6),
        ];
        for (text, expected) in cases {
            assert_eq!(rows(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_rows_is_none() {
        let cases = [
            "",
            "rows_exported: 5",
            "[5]",
            "5",
            r#""rows_exported""#,
            r#"{"rows_exported": -5}"#,
            r#"{"rows_exported": 5.5}"#,
            r#"{"rows_exported": "5"}"#,
            r#"{"rows_exported": 1e400}"#,
            r#"{"rows_exported": 18446744073709551616}"#,
            r#"{"rows_exported": true}"#,
            r#"{"rows_exported":"#,
            r#"{"rows_exported"#,
            r#"{"Rows_Exported": 5}"#,
            r#"{"details": {"rows_exported": 5}}"#,
        ];
        for text in cases {
            assert_eq!(rows(text), 0, "{text}");
        }
        assert_eq!(n_rows(&[b'{', 0xff, 0xfe], &["rows".to_owned()]), 0);
        assert_eq!(n_rows(br#"{"rows": 5}"#, &[]), 0);
    }

    #[test]
    fn depth_and_length_are_no_matter() {
        let deep = |n: usize, inner: &str| {
            format!(r#"{{"a": {}{inner}{}, "rows": 5}}"#, "[".repeat(n), "]".repeat(n))
        };
        assert_eq!(rows(&deep(10_000, "")), 5);
        let objects =
            format!(r#"{{"a": {}1{}, "rows": 5}}"#, r#"{"b":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(rows(&objects), 5);
        let as_value = format!(r#"{{"rows": {}, "rows_exported": 5}}"#, "[".repeat(10_000));
        assert_eq!(rows(&as_value), 0);
        let long = |n: usize| format!(r#"{{"a": "{}", "rows": 5}}"#, "x".repeat(n));
        assert_eq!(rows(&long(1 << 19)), 5);
        assert_eq!(rows(&long(1 << 20)), 0, "beyond the limit");
    }
}
