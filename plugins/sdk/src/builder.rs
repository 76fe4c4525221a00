//! Fast builders of text columns.
//!
//! Most rows of a batch leave a plugin unchanged, so the unit of work is a run of unchanged rows: its bytes are
//! copied at once, and its offsets are shifted.

use std::ops::Range;

use crate::abi::audit_host::plugin::types::Utf8Values;
use crate::batch::{Utf8Column, ValidityBuilder};

/// Builds a column row by row and run by run.
#[derive(Debug)]
pub struct Utf8Builder {
    offsets: Vec<i32>,
    values: Vec<u8>,
    validity: ValidityBuilder,
}

impl Utf8Builder {
    /// An empty column with capacity for a number of rows and bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, values: Vec::with_capacity(bytes), validity: ValidityBuilder::default() }
    }

    /// The number of rows so far.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Appends a value. The bytes must be UTF-8: the host refuses the batch otherwise.
    pub fn push(&mut self, value: &[u8]) {
        self.values.extend_from_slice(value);
        self.end_row(true);
    }

    /// Appends a value that the caller writes to the end of the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.values);
        self.end_row(true);
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        self.end_row(false);
    }

    /// Appends rows of another column: one copy of their bytes, and their offsets shifted.
    pub fn copy_run(&mut self, from: &Utf8Column, rows: Range<usize>) {
        let Some(&[first, ref ends @ ..]) = from.offsets().get(rows.start..=rows.end) else {
            return;
        };
        let last = ends.last().copied().unwrap_or(first);
        let shift = self.position() - first;
        self.values.extend_from_slice(&from.bytes()[first as usize..last as usize]);
        // Checks that the shifted offsets fit: the last one is the largest.
        self.position();
        self.offsets.extend(ends.iter().map(|end| end + shift));
        if from.has_nulls() {
            for row in rows {
                self.validity.push(from.get(row).is_some());
            }
        } else {
            self.validity.push_valid_run(rows.len());
        }
    }

    /// The column.
    pub fn finish(self) -> Utf8Column {
        let rows = self.rows();
        let values = Utf8Values { offsets: self.offsets, values: self.values };
        Utf8Column::new(rows, self.validity.finish(), values).expect("offsets are made of lengths")
    }

    fn end_row(&mut self, valid: bool) {
        self.offsets.push(self.position());
        self.validity.push(valid);
    }

    fn position(&self) -> i32 {
        i32::try_from(self.values.len()).expect("a column holds less than 2 GiB")
    }
}

/// Changes some rows of a column, in order, and copies the others.
#[derive(Debug)]
pub struct Utf8Edit<'a> {
    from: &'a Utf8Column,
    // Created by the first change: a column without any is cloned whole.
    builder: Option<Utf8Builder>,
}

impl<'a> Utf8Edit<'a> {
    /// Nothing changed so far.
    pub fn new(from: &'a Utf8Column) -> Self {
        Self { from, builder: None }
    }

    /// Replaces the value of a row. Rows must come in ascending order, each at most once.
    pub fn set(&mut self, row: usize, value: &[u8]) {
        self.up_to(row).push(value);
    }

    /// Makes a row null. Rows must come in ascending order, each at most once.
    pub fn set_null(&mut self, row: usize) {
        self.up_to(row).push_null();
    }

    /// Whether any row was changed.
    pub fn is_changed(&self) -> bool {
        self.builder.is_some()
    }

    /// The column with the changes.
    pub fn finish(mut self) -> Utf8Column {
        if self.builder.is_none() {
            return self.from.clone();
        }
        self.up_to(self.from.rows());
        self.builder.take().expect("seen above").finish()
    }

    fn up_to(&mut self, row: usize) -> &mut Utf8Builder {
        let from = self.from;
        let builder = self.builder.get_or_insert_with(|| {
            let bytes = from.bytes().len();
            Utf8Builder::with_capacity(from.rows(), bytes + bytes / 4)
        });
        let done = builder.rows();
        assert!(done <= row, "rows are changed in ascending order");
        builder.copy_run(from, done..row);
        builder
    }
}
