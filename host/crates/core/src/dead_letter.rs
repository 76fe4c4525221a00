//! Dead letters: records that could not be decoded, or that a plugin could not judge or did not let pass.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plugin::PluginId;
use crate::raw::RawBatch;

/// Why a record is a dead letter. A closed set, so that users can count and filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonClass {
    /// No bytes, or a null payload (a tombstone).
    EmptyPayload,
    /// More bytes than `max-record-bytes`.
    RecordTooLarge,
    /// Not UTF-8.
    InvalidUtf8,
    /// Not JSON.
    InvalidJson,
    /// JSON nested deeper than the decoder goes.
    NestedTooDeep,
    /// JSON, but not an object.
    NotAnObject,
    /// Something follows the object.
    TrailingData,
    /// A field of the event appears twice.
    DuplicateField,
    /// A field of the event is not text.
    WrongType,
    /// A required field is absent or null.
    MissingField,
    /// The time of the event cannot be read, or lies outside the years 1 to 9999.
    BadTimestamp,
    /// The action is no plain token, and it names a folder of the table.
    BadAction,
    /// A plugin took the row out.
    Quarantined,
    /// A plugin failed on the row, or was not called, as it had failed on every row for a while.
    PluginFault,
}

impl ReasonClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyPayload => "empty-payload",
            Self::RecordTooLarge => "record-too-large",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::InvalidJson => "invalid-json",
            Self::NestedTooDeep => "nested-too-deep",
            Self::NotAnObject => "not-an-object",
            Self::TrailingData => "trailing-data",
            Self::DuplicateField => "duplicate-field",
            Self::WrongType => "wrong-type",
            Self::MissingField => "missing-field",
            Self::BadTimestamp => "bad-timestamp",
            Self::BadAction => "bad-action",
            Self::Quarantined => "quarantined",
            Self::PluginFault => "plugin-fault",
        }
    }
}

impl fmt::Display for ReasonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dead letter, with what is needed to understand it and to read the record again.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub class: ReasonClass,
    /// For people; never contains a value of the record.
    pub reason: String,
    /// The plugin that took the row out; `None` where decoding failed.
    pub plugin: Option<PluginId>,
    /// The record's bytes. Redaction has not seen them: only the sink, which seals them, may look.
    pub payload: Vec<u8>,
}

impl DeadLetter {
    /// The record at `record_idx`, or `None` if the batch has no such record.
    pub fn of_record(
        raw: &RawBatch,
        record_idx: usize,
        class: ReasonClass,
        reason: String,
        plugin: Option<PluginId>,
    ) -> Option<Self> {
        let record = raw.records.get(record_idx)?;
        Some(Self {
            topic: Arc::clone(&raw.topic),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            class,
            reason,
            plugin,
            payload: raw.payload(record_idx).to_vec(),
        })
    }
}
