//! What the stages after decoding rely on.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use audit_core::stage::Decoder;
use audit_core::{RawBatch, ReasonClass, schema};

use crate::{GOOD, decode, decoder, source_offset, value};

#[test]
fn a_batch_without_records_has_no_rows_and_all_columns() {
    let batch = decode([]);
    assert_eq!(batch.columns.schema(), schema::decoded());
    assert_eq!((batch.columns.num_rows(), batch.rejected.len()), (0, 0));
}

#[test]
fn a_batch_of_bad_records_has_no_rows_and_all_columns() {
    let batch = decode([b"x".as_slice(), b"".as_slice()]);
    assert_eq!(batch.columns.schema(), schema::decoded());
    assert_eq!((batch.columns.num_rows(), batch.rejected.len()), (0, 2));
}

#[test]
fn rows_know_their_records() {
    let batch = decode([b"x", GOOD.as_bytes(), b"{", GOOD.as_bytes(), b"\xff"]);
    assert_eq!(batch.columns.schema(), schema::decoded());
    assert_eq!(batch.record_of_row, [1, 3]);
    assert_eq!([source_offset(&batch, 0), source_offset(&batch, 1)], [101, 103]);
    let rejected: Vec<usize> = batch.rejected.iter().map(|record| record.record_idx).collect();
    assert_eq!(rejected, [0, 2, 4]);
    assert_eq!(batch.raw.payload(1), GOOD.as_bytes());
}

#[test]
fn one_record_that_is_not_utf8_does_not_touch_the_others() {
    let text = r#"{"event_timestamp":"2025-01-16T10:20:30Z","action_type":"a","user_id":"ä€😀"}"#;
    let batch = decode([text.as_bytes(), b"{\"action_type\":\"\xff\"}", text.as_bytes()]);
    assert_eq!(batch.record_of_row, [0, 2]);
    assert_eq!(value(&batch, 1, "user_id").as_deref(), Some("ä€😀"));
}

/// The bytes of the batch are UTF-8, those of its records are not.
#[test]
fn a_character_cut_in_two_by_the_end_of_a_record_is_not_utf8() {
    let euro = "€".as_bytes();
    let batch = decode([GOOD.as_bytes(), &euro[..1], &euro[1..], GOOD.as_bytes()]);
    assert_eq!(batch.record_of_row, [0, 3]);
    assert!(batch.rejected.iter().all(|record| record.class == ReasonClass::InvalidUtf8));
}

#[test]
fn the_source_is_copied_to_its_columns() {
    const YEAR_10000_MILLIS: i64 = 253_402_300_800_000;
    let mut raw = RawBatch::empty(Arc::from("audit_events"));
    let stamps = [
        (Some(1_737_022_830_123), Some(1_737_022_830_123_000)),
        (None, None),
        (Some(-1), Some(-1000)),
        (Some(YEAR_10000_MILLIS - 1), Some((YEAR_10000_MILLIS - 1) * 1000)),
        (Some(YEAR_10000_MILLIS), None),
        (Some(i64::MAX), None),
        (Some(i64::MIN), None),
    ];
    for (idx, (millis, _)) in stamps.iter().enumerate() {
        raw.push(idx as i32, i64::MAX, *millis, GOOD.as_bytes());
    }
    let batch = decoder().decode(raw).unwrap();
    let partitions = batch.columns.column_by_name(schema::SOURCE_PARTITION).unwrap();
    assert_eq!(partitions.as_primitive::<Int32Type>().values(), &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(source_offset(&batch, 0), i64::MAX);
    let times = batch.columns.column_by_name(schema::SOURCE_TIMESTAMP).unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    for (idx, (_, micros)) in stamps.iter().enumerate() {
        assert_eq!(times.is_valid(idx).then(|| times.value(idx)), *micros, "{idx}");
    }
}

/// The source bounds batches far below; if it ever does not, the run ends with an error.
#[test]
fn a_batch_too_large_for_a_column_is_an_error() {
    let mut raw = RawBatch::empty(Arc::from("audit_events"));
    // Zeroed memory that nobody touches costs an address range only.
    raw.bytes = vec![0; 1 << 31];
    let error = decoder().decode(raw).unwrap_err();
    assert_eq!(error.kind(), audit_core::Kind::Failed);
    assert_eq!(
        (error.to_string().as_str(), error.code()),
        ("decoding a batch of records", "AH-0300")
    );
}

/// What one batch leaves behind in the decoder must not show in the next.
#[test]
fn batches_do_not_influence_each_other() {
    let other_order = r#"{"details":"x","action_type":"a\u0062","session_id":null,
        "event_timestamp":"2025-01-16 10:20:30","audit_id":"1"}"#;
    let mut decoder = decoder();
    let first = decoder.decode(crate::raw([GOOD.as_bytes(), other_order.as_bytes()])).unwrap();
    decoder.decode(crate::raw([b"{\"audit_id\":\"\\u0041".as_slice()])).unwrap();
    let again = decoder.decode(crate::raw([GOOD.as_bytes(), other_order.as_bytes()])).unwrap();
    assert_eq!(first.columns, again.columns);
    assert_eq!(value(&again, 1, "action_type").as_deref(), Some("ab"));
}
