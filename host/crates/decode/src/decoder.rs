//! The decode stage: turns a batch of records into a batch of rows.

use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch};
use simdutf8::{basic, compat};

use crate::columns::{Columns, TEXT_COUNT, TextBytes};
use crate::error::Error;
use crate::event::{Event, Reader};
use crate::fault::{Fault, What};

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// A record with more bytes becomes a dead letter without being parsed.
    pub max_record_bytes: usize,
}

/// Decodes records that are one JSON object each.
#[derive(Debug)]
pub struct JsonDecoder {
    settings: Settings,
    reader: Reader,
    /// The sizes of the columns of the last batch: the next one is probably similar, and growing a column copies
    /// it.
    text_bytes: TextBytes,
}

impl JsonDecoder {
    pub fn new(settings: Settings) -> Self {
        Self { settings, reader: Reader::new(), text_bytes: [0; TEXT_COUNT] }
    }

    fn decode_batch(&mut self, raw: RawBatch) -> Result<Batch, Error> {
        let n_bytes = raw.bytes.len();
        if i32::try_from(n_bytes).is_err() {
            return Err(Error::BatchTooLarge { bytes: n_bytes });
        }
        let n_records = raw.records.len();
        let n_records_max =
            u32::try_from(n_records).map_err(|_| Error::TooManyRecords { records: n_records })?;
        let capacity = self.text_bytes.map(|hint| hint.min(n_bytes));
        let mut columns = Columns::with_capacity(n_records, &capacity);
        let mut record_of_row = Vec::with_capacity(n_records);
        let mut rejected = Vec::new();

        // One check of all bytes is cheaper than one per record. If it fails, each record is checked.
        let all_text = basic::from_utf8(&raw.bytes).ok();
        let mut event = Event::new();
        let mut start = 0;
        for (record_idx, record) in (0..n_records_max).zip(&raw.records) {
            let text = all_text.and_then(|text| text.get(start..record.end));
            start = record.end;
            let idx = record_idx as usize;
            let read = check(raw.payload(idx), text, self.settings.max_record_bytes)
                .and_then(|text| self.reader.read(text, &mut event));
            match read {
                Ok(()) => {
                    columns.append(record, &self.reader, &event);
                    record_of_row.push(record_idx);
                }
                Err(fault) => rejected.push(fault.reject(idx)),
            }
        }
        self.text_bytes = columns.text_bytes();
        let columns = columns.finish().map_err(Error::Columns)?;
        Ok(Batch { raw, columns, record_of_row, rejected })
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, raw: RawBatch) -> Result<Batch, audit_core::Error> {
        Ok(self.decode_batch(raw)?)
    }
}

/// The record as text. `known` is the same bytes, if they are known to be text.
#[inline]
fn check<'a>(
    payload: &'a [u8],
    known: Option<&'a str>,
    max_record_bytes: usize,
) -> Result<&'a str, Fault> {
    if payload.len() > max_record_bytes {
        return Err(What::TooLarge.anywhere());
    }
    match known {
        Some(text) => Ok(text),
        None => compat::from_utf8(payload).map_err(|error| What::NotUtf8.at(error.valid_up_to())),
    }
}
