//! The columns of a batch while it is decoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringBuilder, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use audit_core::{RawRecord, schema};

use crate::event::{Event, Reader, TIMESTAMP_SLOT};
use crate::keys::FIELD_COUNT;
use crate::timestamp;

/// Fields of an event that stay text.
pub(crate) const TEXT_COUNT: usize = FIELD_COUNT - 1;

/// Bytes of text in each column of a batch.
pub(crate) type TextBytes = [usize; TEXT_COUNT];

/// Rows are appended as a whole; all columns always have the same length.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The fields that stay text, in the order of the event.
    texts: [StringBuilder; TEXT_COUNT],
    event_timestamps: Vec<i64>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    source_timestamps: Vec<Option<i64>>,
}

impl Columns {
    pub(crate) fn with_capacity(n_rows: usize, text_bytes: &TextBytes) -> Self {
        Self {
            texts: text_bytes.map(|n_bytes| StringBuilder::with_capacity(n_rows, n_bytes)),
            event_timestamps: Vec::with_capacity(n_rows),
            partitions: Vec::with_capacity(n_rows),
            offsets: Vec::with_capacity(n_rows),
            source_timestamps: Vec::with_capacity(n_rows),
        }
    }

    /// Appends an event. The caller has made sure that the texts of all events fit an Arrow column:
    /// a text is never longer than its JSON, so it is enough that the batch's bytes fit.
    #[inline]
    pub(crate) fn append(&mut self, record: &RawRecord, reader: &Reader, event: &Event<'_>) {
        let (before, after) = event.slots.split_at(TIMESTAMP_SLOT);
        let texts = before.iter().chain(after.iter().skip(1));
        for (column, slot) in self.texts.iter_mut().zip(texts) {
            match reader.text(slot) {
                Some(text) => column.append_value(text),
                None => column.append_null(),
            }
        }
        self.event_timestamps.push(event.timestamp);
        self.partitions.push(record.partition);
        self.offsets.push(record.offset);
        self.source_timestamps.push(record.timestamp_ms.and_then(timestamp::from_millis));
    }

    pub(crate) fn text_bytes(&self) -> TextBytes {
        std::array::from_fn(|idx| {
            self.texts.get(idx).map_or(0, |column| column.values_slice().len())
        })
    }

    pub(crate) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(FIELD_COUNT + 3);
        for column in &mut self.texts {
            columns.push(Arc::new(column.finish()));
        }
        let event_timestamps = TimestampMicrosecondArray::from(self.event_timestamps);
        columns.insert(TIMESTAMP_SLOT, Arc::new(event_timestamps.with_timezone(schema::UTC)));
        columns.push(Arc::new(Int32Array::from(self.partitions)));
        columns.push(Arc::new(Int64Array::from(self.offsets)));
        let source_timestamps = TimestampMicrosecondArray::from(self.source_timestamps);
        columns.push(Arc::new(source_timestamps.with_timezone(schema::UTC)));
        RecordBatch::try_new(schema::decoded(), columns)
    }
}
