//! Whatever stands in a Kafka record becomes a row or a rejected record.
#![no_main]

use std::sync::Arc;

use audit_core::RawBatch;
use audit_core::stage::Decoder;
use audit_decode::{JsonDecoder, Settings};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut raw = RawBatch::empty(Arc::from("fuzz"));
    // Records are cut where a byte is 0, so that one input makes batches of several.
    for (offset, record) in (0..).zip(data.split(|byte| *byte == 0)) {
        raw.push(0, offset, Some(0), record);
    }
    let n_records = raw.records.len();
    let decoded = JsonDecoder::new(Settings { max_record_bytes: 1 << 20 }).decode(raw);
    let batch = decoded.expect("records are rejected one by one");
    assert_eq!(batch.columns.num_rows() + batch.rejected.len(), n_records);
});
