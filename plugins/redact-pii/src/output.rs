//! The text of the rows that change, with holes for the results of the host.
//!
//! The host hashes, tokenizes and encrypts a column in one call, so a result is not known when its place is
//! written. The values are collected, and the rows are assembled when the column is complete.

use audit_plugin_sdk::{Fault, Utf8Builder, Utf8Column, Utf8Edit, crypto};

use crate::action::{Action, REDACTED};
use crate::escape;
use crate::keys::Keys;

/// The bytes of a hash that are written: 128 bits, more than enough to distinguish values.
const SHOWN_BYTES: usize = 16;

/// The origin of a value: part of the context that it is encrypted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Column,
    /// The path of that index.
    Path(usize),
}

/// Collects a row at a time.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    keys: &'a Keys,
    subjects: Option<&'a Utf8Column>,
    row: usize,
    bytes: Vec<u8>,
    /// The number of JSON strings around the current output. Each adds one level of escapes.
    n_strings: u32,
    rows: Vec<Row>,
    holes: Vec<Hole>,
    originals: Vec<u8>,
    /// How many bytes were appended or moved, also of what was discarded.
    #[cfg(test)]
    pub(crate) n_written: usize,
}

/// A row that changes. Its text starts where that of the one before ends, and so do its holes.
#[derive(Debug)]
struct Row {
    row: usize,
    end: usize,
    holes_end: usize,
}

/// A hole for a result of the host.
#[derive(Debug)]
struct Hole {
    row: usize,
    at: usize,
    action: Action,
    origin: Origin,
    /// Where the value ends. It starts where the one before ends.
    original_end: usize,
}

/// A position to rewind to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    n_bytes: usize,
    n_holes: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(keys: &'a Keys, subjects: Option<&'a Utf8Column>) -> Self {
        Self {
            keys,
            subjects,
            row: 0,
            bytes: Vec::new(),
            n_strings: 0,
            rows: Vec::new(),
            holes: Vec::new(),
            originals: Vec::new(),
            #[cfg(test)]
            n_written: 0,
        }
    }

    /// Starts a row. Rows must come in ascending order.
    pub(crate) fn start_row(&mut self, row: usize) {
        self.row = row;
    }

    /// Keeps what was written since the start of the row as its text.
    pub(crate) fn keep_row(&mut self) {
        let (end, holes_end) = (self.bytes.len(), self.holes.len());
        self.rows.push(Row { row: self.row, end, holes_end });
    }

    /// Appends bytes as they are, inside the open strings.
    pub(crate) fn literal(&mut self, bytes: &[u8]) {
        self.write(bytes, self.n_strings);
    }

    /// Appends text as the content of a JSON string.
    pub(crate) fn escaped(&mut self, text: &[u8]) {
        self.write(text, self.n_strings + 1);
    }

    /// Opens a JSON string: until it is closed, what follows is its decoded content.
    pub(crate) fn open_string(&mut self) {
        self.literal(b"\"");
        self.n_strings += 1;
    }

    pub(crate) fn close_string(&mut self) {
        self.n_strings -= 1;
        self.literal(b"\"");
    }

    fn write(&mut self, text: &[u8], n_escapes: u32) {
        #[cfg(test)]
        {
            self.n_written += text.len();
        }
        match n_escapes {
            0 => self.bytes.extend_from_slice(text),
            1 => escape::escape(text, &mut self.bytes),
            _ => {
                let mut escaped = Vec::new();
                escape::escape(text, &mut escaped);
                self.write(&escaped, n_escapes - 1);
            }
        }
    }

    /// Appends a hole for the host's result for a value. Results need no escapes. A value without a subject to be
    /// encrypted for is redacted.
    pub(crate) fn keyed(&mut self, action: Action, origin: Origin, value: &[u8]) {
        let row = self.row;
        let has_subject = self.subjects.is_some_and(|subjects| has_subject(subjects, row));
        if action == Action::Encrypt && !has_subject {
            self.literal(REDACTED.as_bytes());
            return;
        }
        self.originals.extend_from_slice(value);
        let original_end = self.originals.len();
        self.holes.push(Hole { row, at: self.bytes.len(), action, origin, original_end });
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { n_bytes: self.bytes.len(), n_holes: self.holes.len() }
    }

    /// What was appended since, if it has no holes.
    pub(crate) fn text_since(&self, mark: Mark) -> Option<&[u8]> {
        (self.holes.len() == mark.n_holes).then(|| &self.bytes[mark.n_bytes..])
    }

    /// Inserts bytes before what was appended since, inside the open strings.
    pub(crate) fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        let end = self.bytes.len();
        self.literal(bytes);
        let n_inserted = self.bytes.len() - end;
        #[cfg(test)]
        {
            self.n_written += self.bytes.len() - mark.n_bytes;
        }
        self.bytes[mark.n_bytes..].rotate_right(n_inserted);
        for hole in &mut self.holes[mark.n_holes..] {
            hole.at += n_inserted;
        }
    }

    /// Discards what was appended since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.n_bytes);
        self.holes.truncate(mark.n_holes);
        self.originals.truncate(self.holes.last().map_or(0, |hole| hole.original_end));
    }

    /// The column with the rows that change. `context` names an origin.
    pub(crate) fn finish(
        &self,
        column: &Utf8Column,
        context: impl Fn(Origin) -> String,
    ) -> Result<Utf8Column, Fault> {
        let made = self.fill(context)?;
        let mut edit = Utf8Edit::new(column);
        let mut text = Vec::new();
        let (mut start, mut first_hole) = (0, 0);
        for row in &self.rows {
            if first_hole == row.holes_end {
                edit.set(row.row, &self.bytes[start..row.end]);
            } else {
                text.clear();
                for index in first_hole..row.holes_end {
                    text.extend_from_slice(&self.bytes[start..self.holes[index].at]);
                    text.extend_from_slice(made.get(index)?);
                    start = self.holes[index].at;
                }
                text.extend_from_slice(&self.bytes[start..row.end]);
                edit.set(row.row, &text);
            }
            (start, first_hole) = (row.end, row.holes_end);
        }
        Ok(edit.finish())
    }

    /// The results for all holes: one call to the host per action and origin.
    fn fill(&self, context: impl Fn(Origin) -> String) -> Result<Made, Fault> {
        let mut jobs: Vec<(Action, Origin)> = Vec::new();
        for hole in &self.holes {
            let job = (hole.action, hole.origin);
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        }
        let mut made = Made { answers: Vec::new(), places: vec![(0, 0); self.holes.len()] };
        for (action, origin) in jobs {
            let mut values = Utf8Builder::with_capacity(self.holes.len(), self.originals.len());
            let mut subjects = Utf8Builder::with_capacity(self.holes.len(), 0);
            let mut start = 0;
            for (hole, place) in self.holes.iter().zip(&mut made.places) {
                if (hole.action, hole.origin) == (action, origin) {
                    *place = (made.answers.len(), values.rows());
                    values.push(&self.originals[start..hole.original_end]);
                    subjects.push(self.subjects.and_then(|all| all.get(hole.row)).unwrap_or(b""));
                }
                start = hole.original_end;
            }
            let subjects = subjects.finish();
            let context = context(origin);
            let answer = keyed(self.keys, action, &context, Some(&subjects), &values.finish())?;
            made.answers.push(answer);
        }
        Ok(made)
    }
}

/// The results of the host, by hole.
struct Made {
    answers: Vec<Utf8Column>,
    /// The answer, and the row in it.
    places: Vec<(usize, usize)>,
}

impl Made {
    fn get(&self, hole: usize) -> Result<&[u8], Fault> {
        let (answer, row) = self.places[hole];
        let text = self.answers[answer].get(row).filter(|text| !text.is_empty());
        text.ok_or_else(|| Fault::Other("the host made nothing of a value".to_owned()))
    }
}

/// Whether a row has a subject to encrypt for.
pub(crate) fn has_subject(subjects: &Utf8Column, row: usize) -> bool {
    subjects.get(row).is_some_and(|subject| !subject.is_empty())
}

/// The column of the host's results for another column. Nulls stay null.
pub(crate) fn keyed(
    keys: &Keys,
    action: Action,
    context: &str,
    subjects: Option<&Utf8Column>,
    values: &Utf8Column,
) -> Result<Utf8Column, Fault> {
    let key = keys.of(action)?;
    match (action, subjects) {
        (Action::Token, _) => crypto::token(key, values),
        (Action::Encrypt, Some(subjects)) => crypto::encrypt(key, context, subjects, values),
        (Action::Encrypt, None) => Err(Fault::Other("there are no subjects".to_owned())),
        _ => hashed(values, key),
    }
}

/// Writes `hmac-sha256:<key id>:<hash>`. The id is derived from the key, so that hashes under a new key of the
/// same name are recognizably not comparable with the old ones.
fn hashed(column: &Utf8Column, key: &str) -> Result<Utf8Column, Fault> {
    let id = crypto::key_id(key)?;
    let digests = crypto::keyed_hash(key, column)?;
    let mut builder = Utf8Builder::with_capacity(column.rows(), column.rows() * 64);
    for row in 0..column.rows() {
        match (column.get(row), digests.get(row)) {
            (Some(_), Some(digest)) => builder.push_with(|out| {
                out.extend_from_slice(b"hmac-sha256:");
                out.extend_from_slice(id.as_bytes());
                out.push(b':');
                out.extend_from_slice(&shown(digest));
            }),
            _ => builder.push_null(),
        }
    }
    Ok(builder.finish())
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
