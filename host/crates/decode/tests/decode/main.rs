//! What decode promises, seen from outside: `docs/events.md` in the form of tests.

#![allow(clippy::unwrap_used, clippy::string_slice, reason = "in a test, to panic is to report")]

mod contract;
mod hostile;
mod round_trip;
mod timestamps;

mod differential;
mod reference;

mod events;
mod random;

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use audit_core::schema::EVENT_FIELDS;
use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch};
use audit_decode::{JsonDecoder, Settings};

const MAX_RECORD_BYTES: usize = 1 << 20;

/// An event that is good, for the neighbours of those that are not.
const GOOD: &str = r#"{"event_timestamp":"2025-01-16T10:20:30Z","action_type":"good"}"#;

/// Records of one partition with the offsets 100, 101, …
fn raw<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> RawBatch {
    let mut raw = RawBatch::empty(Arc::from("audit_events"));
    for (offset, record) in (100..).zip(records) {
        raw.push(7, offset, Some(offset), record);
    }
    raw
}

fn decode<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Batch {
    decoder().decode(raw(records)).unwrap()
}

fn decoder() -> JsonDecoder {
    JsonDecoder::new(Settings { max_record_bytes: MAX_RECORD_BYTES })
}

/// The value of a field of the event; its time in microseconds.
fn value(batch: &Batch, row: usize, field: &str) -> Option<String> {
    let column = batch.columns.column_by_name(field).unwrap();
    if column.is_null(row) {
        return None;
    }
    if let Some(texts) = column.as_string_opt::<i32>() {
        return Some(texts.value(row).to_owned());
    }
    let times = column.as_primitive::<TimestampMicrosecondType>();
    Some(times.value(row).to_string())
}

fn row(batch: &Batch, row: usize) -> [Option<String>; 13] {
    EVENT_FIELDS.map(|field| value(batch, row, field))
}

fn source_offset(batch: &Batch, row: usize) -> i64 {
    let column = batch.columns.column_by_name(audit_core::schema::SOURCE_OFFSET).unwrap();
    column.as_primitive::<Int64Type>().value(row)
}
