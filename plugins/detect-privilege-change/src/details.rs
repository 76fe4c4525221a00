//! The grantee of a permission, from `details`.
//!
//! `details` may be anything: not JSON, truncated, nested without end, with duplicate keys. It is parsed as far
//! as possible, and what was found before the first error counts: deliberately broken text must not hide what
//! comes before.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The part of a value that is parsed.
const BYTES_LOOKED_AT: usize = 1 << 20;

/// The deepest nesting that is searched. Deeper values are skipped, without recursion.
const DEPTH_MAX: usize = 8;

/// Whether any of the fields holds one of the names of the actor.
pub(crate) fn names_actor(details: &[u8], fields: &[String], actor: &[&[u8]]) -> bool {
    let details = &details[..details.len().min(BYTES_LOOKED_AT)];
    // Most values have no such field and are not parsed. A field may be written with escapes.
    let may_hold = |field: &String| contains(details, field.as_bytes());
    if !details.contains(&b'\\') && !fields.iter().any(may_hold) {
        return false;
    }
    let mut is_named = false;
    let search = Search { fields, actor, depth: 0, is_grantee: false, is_named: &mut is_named };
    // An error ends the parsing. What was found before counts.
    drop(search.deserialize(&mut serde_json::Deserializer::from_slice(details)));
    is_named
}

/// Whether two names are equal, ignoring case and surrounding white space. A redacted name is shared by many:
/// `a***@company.com`, `[REDACTED]`.
fn is_same(name: &str, actor: &[u8]) -> bool {
    let actor = actor.trim_ascii();
    let is_left_over = actor.contains(&b'*') || actor.starts_with(b"[");
    !actor.is_empty() && !is_left_over && name.trim().as_bytes().eq_ignore_ascii_case(actor)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Searches one value.
struct Search<'a> {
    fields: &'a [String],
    actor: &'a [&'a [u8]],
    depth: usize,
    /// Whether the value belongs to one of the fields, so that text in it is a name.
    is_grantee: bool,
    is_named: &'a mut bool,
}

impl Search<'_> {
    /// For a value inside this one.
    fn inside(&mut self, is_grantee: bool) -> Search<'_> {
        Search {
            fields: self.fields,
            actor: self.actor,
            depth: self.depth + 1,
            is_grantee,
            is_named: self.is_named,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth > DEPTH_MAX {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            // `{"granted_to": {"email": …}}` also names somebody.
            let is_grantee = self.is_grantee || self.fields.contains(&key);
            map.next_value_seed(self.inside(is_grantee))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let is_grantee = self.is_grantee;
        while seq.next_element_seed(self.inside(is_grantee))?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_grantee && self.actor.iter().any(|actor| is_same(text, actor)) {
            *self.is_named = true;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::names_actor;

    fn names(details: &str) -> bool {
        let fields = ["granted_to".to_owned(), "grantee".to_owned()];
        names_actor(details.as_bytes(), &fields, &[b"user_001", b"alice@company.com"])
    }

    #[test]
    fn the_actor_is_named() {
        let cases = [
            r#"{"permission": "READ", "granted_to": "alice@company.com"}"#,
            r#"{"granted_to": "ALICE@Company.com"}"#,
            r#"{"granted_to": " User_001 "}"#,
            r#"{"grantee": "user_001"}"#,
            r#"{"granted_to": ["bob@company.com", "alice@company.com"]}"#,
            r#"{"granted_to": {"email": "alice@company.com"}}"#,
            r#"{"grant": {"to": [{"granted_to": "user_001"}]}}"#,
            r#"{"granted_to": "bob@company.com", "granted_to": "user_001"}"#,
            r#"{"granted\u005fto": "user\u005f001"}"#,
            // What follows is not JSON, or is missing.
            r#"{"granted_to": "user_001", "x": }"#,
            r#"{"granted_to": "user_001"} trailing"#,
            r#"{"granted_to": "user_001""#,
        ];
        for details in cases {
            assert!(names(details), "{details}");
        }
    }

    #[test]
    fn nobody_or_somebody_else_is_named() {
        let cases = [
            "",
            "granted_to user_001",
            r#""granted_to""#,
            r#"["granted_to", "user_001"]"#,
            r#"{"granted_to": "user_0011"}"#,
            r#"{"granted_to": "bob@company.com"}"#,
            r#"{"granted_to": ""}"#,
            r#"{"granted_to": null, "by": "user_001"}"#,
            r#"{"granted_to": 1, "n": [true, 1.5, -2]}"#,
            r#"{"GRANTED_TO": "user_001"}"#,
            r#"{"note": "granted_to: user_001"}"#,
            r#"{"x": }, "granted_to": "user_001"}"#,
        ];
        for details in cases {
            assert!(!names(details), "{details}");
        }
    }

    #[test]
    fn what_a_redactor_left_names_nobody() {
        for name in ["a***@company.com", "*****", "[REDACTED]", "", " "] {
            let details = format!(r#"{{"granted_to": "{name}"}}"#);
            let fields = ["granted_to".to_owned()];
            assert!(!names_actor(details.as_bytes(), &fields, &[name.as_bytes()]), "{name}");
        }
        let hashed = "tok_k1_mzxw6ytboi";
        let details = format!(r#"{{"granted_to": "{hashed}"}}"#);
        assert!(names_actor(details.as_bytes(), &["granted_to".to_owned()], &[hashed.as_bytes()]));
    }

    #[test]
    fn neither_depth_nor_length_harms() {
        let deep = |levels: usize| {
            let lists = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"a": {lists}, "granted_to": "user_001"}}"#)
        };
        assert!(names(&deep(10_000)));
        let objects = format!("{}1{}", r#"{"granted_to":"#.repeat(10_000), "}".repeat(10_000));
        assert!(!names(&objects));
        let nested = |levels: usize| {
            format!(
                "{}{}{}",
                r#"{"a":"#.repeat(levels),
                r#"{"granted_to": "user_001"}"#,
                "}".repeat(levels)
            )
        };
        // Eight objects within one another, and nine.
        assert!(names(&nested(7)) && !names(&nested(8)));
        let padded = |bytes: usize| {
            format!(r#"{{"pad": "{}", "granted_to": "user_001"}}"#, "x".repeat(bytes))
        };
        assert!(names(&padded(1_000_000)) && !names(&padded(1 << 20)));
        assert!(!names_actor(&[b'\\', 0xff, 0xfe], &["granted_to".to_owned()], &[b"user_001"]));
    }
}
