//! What is wrong with one record.

use std::fmt;

use audit_core::schema::EVENT_FIELDS;
use audit_core::{ReasonClass, Rejected};

/// The first fault of a record. It has no text of the record, because people without access to the data can read
/// it; and it fits two registers, because every step of the scanner returns it or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    what: What,
    /// The slot of the field whose value has the fault, if it is in one.
    slot: Option<u8>,
    /// The byte, counted from 0; `None` if the fault has no position. A batch has less than 2 GiB.
    at: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Empty,
    TooLarge,
    NotUtf8,
    NotAnObject,
    TrailingData,
    TooDeep,

    ByteOrderMark,
    ZeroByte,
    NoValue,
    NoKey,
    NoColon,
    NoCommaOrBrace,
    NoCommaOrBracket,
    EndsEarly,
    OpenString,
    ControlCharacter,
    BadEscape,
    BadHexEscape,
    LoneSurrogate,
    BadLiteral,
    BadNumber,
    LeadingZero,

    Duplicate,
    Number,
    Boolean,
    Object,
    Array,
    Absent,
    Null,

    TimeShape,
    TimeYear,
    TimeMonth,
    TimeDay,
    TimeHour,
    TimeMinute,
    TimeSecond,
    TimeFraction,
    TimeOffset,
    TimeRange,

    ActionShape,
}

impl What {
    pub(crate) fn at(self, at: usize) -> Fault {
        Fault { what: self, slot: None, at: Some(at as u32) }
    }

    pub(crate) fn anywhere(self) -> Fault {
        Fault { what: self, slot: None, at: None }
    }

    fn class(self) -> ReasonClass {
        match self {
            Self::Empty => ReasonClass::EmptyPayload,
            Self::TooLarge => ReasonClass::RecordTooLarge,
            Self::NotUtf8 => ReasonClass::InvalidUtf8,
            Self::NotAnObject => ReasonClass::NotAnObject,
            Self::TrailingData => ReasonClass::TrailingData,
            Self::TooDeep => ReasonClass::NestedTooDeep,
            Self::ByteOrderMark
            | Self::ZeroByte
            | Self::NoValue
            | Self::NoKey
            | Self::NoColon
            | Self::NoCommaOrBrace
            | Self::NoCommaOrBracket
            | Self::EndsEarly
            | Self::OpenString
            | Self::ControlCharacter
            | Self::BadEscape
            | Self::BadHexEscape
            | Self::LoneSurrogate
            | Self::BadLiteral
            | Self::BadNumber
            | Self::LeadingZero => ReasonClass::InvalidJson,
            Self::Duplicate => ReasonClass::DuplicateField,
            Self::Number | Self::Boolean | Self::Object | Self::Array => ReasonClass::WrongType,
            Self::Absent | Self::Null => ReasonClass::MissingField,
            Self::TimeShape
            | Self::TimeYear
            | Self::TimeMonth
            | Self::TimeDay
            | Self::TimeHour
            | Self::TimeMinute
            | Self::TimeSecond
            | Self::TimeFraction
            | Self::TimeOffset
            | Self::TimeRange => ReasonClass::BadTimestamp,
            Self::ActionShape => ReasonClass::BadAction,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Empty => "empty, or only white space",
            Self::TooLarge => "more bytes than max-record-bytes",
            Self::NotUtf8 => "not UTF-8",
            Self::NotAnObject => "JSON, but not an object",
            Self::TrailingData => "data after the object",
            Self::TooDeep => "nested deeper than 512 levels",
            Self::ByteOrderMark => "starts with a byte order mark, which JSON does not allow",
            Self::ZeroByte => "starts with a zero byte, as a schema registry's header does",
            Self::NoValue => "no JSON value where one is expected",
            Self::NoKey => "no key in quotes where one is expected",
            Self::NoColon => "no colon after a key",
            Self::NoCommaOrBrace => "no comma and no closing brace after a value",
            Self::NoCommaOrBracket => "no comma and no closing bracket after a value",
            Self::EndsEarly => "the record ends inside a value",
            Self::OpenString => "the record ends inside a string",
            Self::ControlCharacter => "a control character inside a string",
            Self::BadEscape => "a backslash before a character that cannot be escaped",
            Self::BadHexEscape => "a \\u without four hex digits",
            Self::LoneSurrogate => "half of a surrogate pair",
            Self::BadLiteral => "not true, false or null",
            Self::BadNumber => "a number that JSON does not allow",
            Self::LeadingZero => "a number with a leading zero",
            Self::Duplicate => "the field appears twice",
            Self::Number => "a number where text is expected",
            Self::Boolean => "true or false where text is expected",
            Self::Object => "an object where text is expected",
            Self::Array => "an array where text is expected",
            Self::Absent => "required, but absent",
            Self::Null => "required, but null",
            Self::TimeShape => "not a timestamp like 2025-01-16T10:20:30Z",
            Self::TimeYear => "the year is not between 1 and 9999",
            Self::TimeMonth => "no such month",
            Self::TimeDay => "no such day in that month",
            Self::TimeHour => "no such hour",
            Self::TimeMinute => "no such minute",
            Self::TimeSecond => "no such second; leap seconds are not supported",
            Self::TimeFraction => "a fraction of a second without digits or with more than nine",
            Self::TimeOffset => "no such offset from UTC, or more than 18 hours",
            Self::TimeRange => "outside the years 1 to 9999 in UTC",
            Self::ActionShape => "not 1 to 64 letters, digits, dots, underscores or dashes",
        }
    }
}

impl Fault {
    /// The same fault, in the field of a slot.
    pub(crate) fn of(self, slot: usize) -> Self {
        Self { slot: Some(slot as u8), ..self }
    }

    pub(crate) fn reject(self, record_idx: usize) -> Rejected {
        Rejected { record_idx, class: self.what.class(), reason: self.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.slot.and_then(|slot| EVENT_FIELDS.get(usize::from(slot))) {
            write!(f, "{field}: ")?;
        }
        f.write_str(self.what.text())?;
        match self.at {
            Some(at) => write!(f, " (byte {at})"),
            None => Ok(()),
        }
    }
}
