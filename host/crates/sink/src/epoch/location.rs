//! The paths of data files.
//!
//! iceberg 0.10.1 writes partition values into paths unescaped, so that an `action_type` of `../../x` leaves the
//! table's folder. Here everything except plain characters is percent-encoded, and a long value is cut and
//! completed by its hash. Readers are not affected: they take partition values from the manifests, never from
//! paths.

use iceberg::spec::{Literal, PartitionKey, PrimitiveLiteral, Transform};
use iceberg::writer::file_writer::location_generator::LocationGenerator;
use sha2::{Digest, Sha256};

/// File systems limit a name to 255 bytes; this leaves room for `action_type=` and the hash.
const VALUE_BYTES_MAX: usize = 180;

/// Files of a table below its `data` folder.
#[derive(Debug, Clone)]
pub(crate) struct SafeLocations {
    data: String,
}

impl SafeLocations {
    pub(crate) fn below(table_location: &str) -> Self {
        Self { data: format!("{}/data", table_location.trim_end_matches('/')) }
    }
}

impl LocationGenerator for SafeLocations {
    fn generate_location(&self, partition: Option<&PartitionKey>, file_name: &str) -> String {
        let mut path = self.data.clone();
        if let Some(key) = partition {
            for (field, value) in key.spec().fields().iter().zip(key.data().iter()) {
                path.push('/');
                path.push_str(&escape(&field.name));
                path.push('=');
                path.push_str(&text_of(value, field.transform));
            }
        }
        path.push('/');
        path.push_str(file_name);
        path
    }
}

fn text_of(value: Option<&Literal>, transform: Transform) -> String {
    match value {
        Some(Literal::Primitive(PrimitiveLiteral::String(text))) => escape(text),
        Some(Literal::Primitive(PrimitiveLiteral::Int(days))) if transform == Transform::Day => {
            day_name(*days)
        }
        Some(Literal::Primitive(other)) => escape(&format!("{other:?}")),
        Some(_) => "nested".to_owned(),
        None => "null".to_owned(),
    }
}

/// `2026-11-23`.
fn day_name(days_since_1970: i32) -> String {
    use arrow::temporal_conversions::date32_to_datetime;
    date32_to_datetime(days_since_1970)
        .map_or_else(|| days_since_1970.to_string(), |time| time.date().to_string())
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        // A dot could make `.` or `..`.
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    if escaped.len() > VALUE_BYTES_MAX {
        let hash = hex::encode(Sha256::digest(value));
        escaped.truncate(VALUE_BYTES_MAX);
        escaped.push_str("..");
        escaped.push_str(hash.get(..32).unwrap_or_default());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_folder() {
        for (value, expect) in [
            ("data_read", "data_read"),
            ("", ""),
            ("..", "%2E%2E"),
            ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
            ("a/b", "a%2Fb"),
            ("50%", "50%25"),
            ("q?x#y", "q%3Fx%23y"),
            ("é", "%C3%A9"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(escape(value), expect);
        }
    }

    #[test]
    fn long_values_are_cut_and_stay_different() {
        let (a, b) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert!(escape(&a).len() < 255 - "action_type=".len());
        assert_ne!(escape(&a), escape(&b));
        assert!(escape(&"é".repeat(300)).len() < 255 - "action_type=".len());
    }

    #[test]
    fn days_are_named_as_dates() {
        assert_eq!(day_name(0), "1970-01-01");
        assert_eq!(day_name(-719_162), "0001-01-01");
    }
}
