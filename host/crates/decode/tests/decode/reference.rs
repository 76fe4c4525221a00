//! What a record should become, said by serde_json.

use std::fmt;

use audit_core::ReasonClass;
use audit_core::schema::EVENT_FIELDS;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value,
};
use serde_json::Value;

use crate::timestamps;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Text(String),
    /// Details that were no text.
    Nested(Value),
}

pub(crate) type Fields = [Option<Option<Field>>; 13];

#[derive(Debug)]
pub(crate) enum Expected {
    /// The fields, and the time in microseconds.
    Row(Box<Fields>, i64),
    Rejected(ReasonClass),
    /// serde_json has limits that we do not have: the size of numbers, 128 levels.
    Unknown,
}

const CLASSES: [ReasonClass; 3] =
    [ReasonClass::NotAnObject, ReasonClass::DuplicateField, ReasonClass::WrongType];

pub(crate) fn expected(record: &[u8]) -> Expected {
    let Ok(text) = str::from_utf8(record) else {
        return Expected::Rejected(ReasonClass::InvalidUtf8);
    };
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Expected::Rejected(ReasonClass::EmptyPayload);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = match json.deserialize_any(EventVisitor) {
        Ok(fields) => fields,
        Err(error) => return of_error(&error),
    };
    if json.end().is_err() {
        return Expected::Rejected(ReasonClass::TrailingData);
    }
    if has_lone_surrogate(text) {
        return Expected::Rejected(ReasonClass::InvalidJson);
    }
    let (Some(Some(Field::Text(time))), Some(Some(Field::Text(action)))) = (&fields[1], &fields[4])
    else {
        return Expected::Rejected(ReasonClass::MissingField);
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=64).contains(&action.len())
        || !action.chars().all(is_plain)
        || action.chars().all(|c| c == '.')
    {
        return Expected::Rejected(ReasonClass::BadAction);
    }
    match timestamps::expected(time) {
        Some(micros) => Expected::Row(Box::new(fields), micros),
        None => Expected::Rejected(ReasonClass::BadTimestamp),
    }
}

fn of_error(error: &serde_json::Error) -> Expected {
    let message = error.to_string();
    if message.starts_with("number out of range") || message.starts_with("recursion limit") {
        return Expected::Unknown;
    }
    let class = CLASSES.into_iter().find(|class| message.starts_with(class.as_str()));
    Expected::Rejected(class.unwrap_or(ReasonClass::InvalidJson))
}

/// serde_json does not look at surrogates in strings that it skips. Takes valid JSON, where a backslash
/// stands in strings only.
pub(crate) fn has_lone_surrogate(json: &str) -> bool {
    let mut high = false;
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let gap = at > 0;
        let hex = rest[at..].strip_prefix("\\u").and_then(|hex| hex.get(..4));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let low = (0xDC00..0xE000).contains(&code);
        if (high && gap) || high != low {
            return true;
        }
        high = (0xD800..0xDC00).contains(&code);
        let mut behind = rest[at..].chars();
        behind.nth(1);
        rest = behind.as_str();
        if hex.is_some() {
            rest = rest.get(4..).unwrap_or_default();
        }
    }
    high
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            let Some(idx) = EVENT_FIELDS.iter().position(|name| *name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if fields[idx].is_some() {
                return Err(A::Error::custom(ReasonClass::DuplicateField));
            }
            fields[idx] = Some(map.next_value_seed(FieldSeed { is_details: idx == 12 })?);
        }
        Ok(fields)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(ReasonClass::NotAnObject))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }

    fn visit_unit<E: Error>(self) -> Result<Fields, E> {
        Err(E::custom(ReasonClass::NotAnObject))
    }
}

#[derive(Clone, Copy)]
struct FieldSeed {
    is_details: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<Field>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed {
    type Value = Option<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Field>, E> {
        Ok(Some(Field::Text(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Field>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Field>, E> {
        Err(E::custom(ReasonClass::WrongType))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<Field>, E> {
        Err(E::custom(ReasonClass::WrongType))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<Field>, E> {
        Err(E::custom(ReasonClass::WrongType))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<Field>, E> {
        Err(E::custom(ReasonClass::WrongType))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Field>, A::Error> {
        let json = value::MapAccessDeserializer::new(map);
        self.nested(serde::Deserialize::deserialize(json)?)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Option<Field>, A::Error> {
        let json = value::SeqAccessDeserializer::new(seq);
        self.nested(serde::Deserialize::deserialize(json)?)
    }
}

impl FieldSeed {
    fn nested<E: Error>(self, value: Value) -> Result<Option<Field>, E> {
        if self.is_details {
            Ok(Some(Field::Nested(value)))
        } else {
            Err(E::custom(ReasonClass::WrongType))
        }
    }
}
