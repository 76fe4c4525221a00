//! The text of the row being rewritten, with holes for hashes.
//!
//! The host hashes a column in one call, so a hash is not known when its place is written. All hashes
//! are of the same length: zeros go in first and are overwritten when the column is done.

use audit_plugin_sdk::{Fault, Utf8Builder, Utf8Column, crypto};

use crate::escape;

/// So many hexadecimal digits of the hash are shown: 128 bits, more than enough to tell values apart.
const SHOWN_BYTES: usize = 16;

/// Collects a row at a time, and the values to hash of all rows.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    hash_key: Option<&'a str>,
    row: usize,
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    originals: Vec<u8>,
}

/// A place for a hash.
#[derive(Debug)]
struct Hole {
    row: usize,
    /// Where the zeros are in the row's text.
    at: usize,
    /// Where the value to hash ends. It starts where the one before ends.
    original_end: usize,
}

/// A place to come back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    n_bytes: usize,
    n_holes: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(hash_key: Option<&'a str>) -> Self {
        Self { hash_key, row: 0, bytes: Vec::new(), holes: Vec::new(), originals: Vec::new() }
    }

    /// Begins a row. Rows come in ascending order.
    pub(crate) fn start_row(&mut self, row: usize) {
        self.row = row;
        self.bytes.clear();
    }

    /// The text of the row so far.
    pub(crate) fn row(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends bytes as they are.
    pub(crate) fn literal(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends text as the inside of a JSON string.
    pub(crate) fn escaped(&mut self, text: &[u8]) {
        escape::escape(text, &mut self.bytes);
    }

    /// Appends the hash of a value: `hmac-sha256:<key>:<hash>`. None of it needs escapes.
    pub(crate) fn hash(&mut self, value: &[u8]) {
        prefix(self.hash_key.unwrap_or_default(), &mut self.bytes);
        self.originals.extend_from_slice(value);
        self.holes.push(Hole {
            row: self.row,
            at: self.bytes.len(),
            original_end: self.originals.len(),
        });
        self.bytes.extend_from_slice(&[b'0'; 2 * SHOWN_BYTES]);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { n_bytes: self.bytes.len(), n_holes: self.holes.len() }
    }

    /// Takes back what was appended since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.n_bytes);
        self.holes.truncate(mark.n_holes);
        self.originals.truncate(self.holes.last().map_or(0, |hole| hole.original_end));
    }

    /// Puts the hashes into the finished column.
    pub(crate) fn fill(self, mut column: Utf8Column) -> Result<Utf8Column, Fault> {
        let Some(key) = self.hash_key.filter(|_| !self.holes.is_empty()) else {
            return Ok(column);
        };
        let mut originals = Utf8Builder::with_capacity(self.holes.len(), self.originals.len());
        let mut start = 0;
        for hole in &self.holes {
            originals.push(&self.originals[start..hole.original_end]);
            start = hole.original_end;
        }
        let digests = crypto::keyed_hash(key, &originals.finish())?;
        for (index, hole) in self.holes.iter().enumerate() {
            let digest =
                digests.get(index).ok_or_else(|| Fault::Other("a hash is missing".to_owned()))?;
            column.overwrite(hole.row, hole.at, &shown(digest));
        }
        Ok(column)
    }
}

/// A whole column of hashes. Nulls stay null.
pub(crate) fn hashed(column: &Utf8Column, key: &str) -> Result<Utf8Column, Fault> {
    let digests = crypto::keyed_hash(key, column)?;
    let mut builder = Utf8Builder::with_capacity(column.rows(), column.rows() * 64);
    for row in 0..column.rows() {
        match (column.get(row), digests.get(row)) {
            (Some(_), Some(digest)) => builder.push_with(|out| {
                prefix(key, out);
                out.extend_from_slice(&shown(digest));
            }),
            _ => builder.push_null(),
        }
    }
    Ok(builder.finish())
}

fn prefix(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"hmac-sha256:");
    out.extend_from_slice(key.as_bytes());
    out.push(b':');
}

/// The first bytes of a hash in hexadecimal.
fn shown(digest: &[u8; 32]) -> [u8; 2 * SHOWN_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 2 * SHOWN_BYTES];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}
