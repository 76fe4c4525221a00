//! Remembers what came of values: most columns of audit events name one of few users, sessions, programs or resources,
//! and the search of a value always ends in the same.

use audit_plugin_sdk::{Utf8Builder, Utf8Column};

use crate::prefilter::Prefilter;

/// Places for values. A value takes the place of another with the same hash, which then is searched again.
const PLACES: usize = 1 << 12;
/// Longer values repeat too seldom to be remembered.
const VALUE_BYTES_MAX: usize = 512;
/// With so many bytes, nothing more is kept in this batch, and the next one begins with nothing.
const BYTES_MAX: usize = 512 << 10;
/// After a batch in which values hardly repeated, so many are searched as they are.
const BATCHES_OUT: u32 = 15;
/// So small a batch says nothing about that.
const ROWS_MIN: usize = 64;

/// What is known of the values of one column. It changes how long a search takes, and never what comes of it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// By hash.
    places: Vec<Place>,
    /// The values and what replaces them.
    bytes: Vec<u8>,
    /// So many batches are searched as they are.
    batches_out: u32,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    value: Span,
    is: Value,
}

/// A range of the bytes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// There is none.
    Absent,
    /// Nothing was found in it.
    Clean,
    /// This replaces it.
    Replaced(Span),
    /// It is the one with that number in the batch at hand.
    Listed(u32),
}

/// The values of a batch that are not clean, each once, by number.
#[derive(Debug)]
pub(crate) struct Distinct {
    /// The number of the value of each row.
    numbers: Vec<u32>,
    values: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    first_row: u32,
    /// If it is to be remembered.
    place: Option<u32>,
    state: State,
}

/// What came of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Clean,
    Suspect,
    Replaced(Span),
}

/// The number of a row's value that is known to be clean.
const CLEAN: u32 = u32::MAX;

impl Known {
    /// `None` after a batch in which hardly any value was known: looking for them costs more than it saves.
    fn distinct(&mut self, column: &Utf8Column) -> Option<Distinct> {
        if self.batches_out > 0 {
            self.batches_out -= 1;
            return None;
        }
        Some(self.list(column))
    }

    /// The values that are not known to be clean.
    pub(crate) fn list(&mut self, column: &Utf8Column) -> Distinct {
        if self.is_full() {
            self.places.clear();
            self.bytes.clear();
        }
        let nothing = Span { start: 0, end: 0 };
        self.places.resize(PLACES, Place { value: nothing, is: Value::Absent });
        let n_rows = column.rows();
        let mut distinct = Distinct { numbers: Vec::with_capacity(n_rows), values: Vec::new() };
        let mut n_new = 0;
        for row in 0..n_rows {
            // Never what lies behind a null: nobody searches it.
            let value = column.get(row).unwrap_or_default();
            let number = self.number(value, row as u32, &mut distinct.values, &mut n_new);
            distinct.numbers.push(number);
        }
        if n_rows >= ROWS_MIN && 4 * n_new > 3 * n_rows {
            self.batches_out = BATCHES_OUT;
        }
        distinct
    }

    /// The number of a value, which may be new.
    fn number(
        &mut self,
        value: &[u8],
        first_row: u32,
        values: &mut Vec<Listed>,
        n_new: &mut usize,
    ) -> u32 {
        let number = values.len() as u32;
        if value.len() > VALUE_BYTES_MAX || self.is_full() {
            values.push(Listed { first_row, place: None, state: State::Suspect });
            *n_new += 1;
            return number;
        }
        let at = place_of(value);
        let place = self.places[at];
        let is_known = place.is != Value::Absent && is_same(self.text(place.value), value);
        match place.is {
            Value::Clean if is_known => return CLEAN,
            Value::Listed(number) if is_known => return number,
            _ => {}
        }
        let mut listed = Listed { first_row, place: Some(at as u32), state: State::Suspect };
        let mut kept = place.value;
        match place.is {
            Value::Replaced(by) if is_known => listed.state = State::Replaced(by),
            _ => {
                kept = self.keep(value);
                *n_new += 1;
            }
        }
        self.places[at] = Place { value: kept, is: Value::Listed(number) };
        values.push(listed);
        number
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX
    }

    fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        Span { start, end: self.bytes.len() as u32 }
    }

    fn text(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

impl Distinct {
    /// The values by number. Nulls are empty.
    pub(crate) fn values(&self, column: &Utf8Column) -> Utf8Column {
        let mut builder = Utf8Builder::with_capacity(self.values.len(), 0);
        for listed in &self.values {
            builder.push(column.get(listed.first_row as usize).unwrap_or_default());
        }
        builder.finish()
    }

    /// The number of the value of a row.
    pub(crate) fn number(&self, row: usize) -> usize {
        self.numbers[row] as usize
    }
}

/// The rows of a column whose values must be searched, in order.
#[derive(Debug)]
pub(crate) struct Suspects<'k> {
    known: &'k mut Known,
    left: Left,
    next_row: usize,
}

#[derive(Debug)]
enum Left {
    Rows(std::vec::IntoIter<usize>),
    /// By the number of the value.
    Values(Distinct),
}

impl<'k> Suspects<'k> {
    pub(crate) fn of(prefilter: &Prefilter, column: &Utf8Column, known: &'k mut Known) -> Self {
        let left = match known.distinct(column) {
            None => Left::Rows(prefilter.suspects(column).into_iter()),
            Some(mut distinct) => {
                let mut suspects =
                    prefilter.suspects(&distinct.values(column)).into_iter().peekable();
                for (number, listed) in distinct.values.iter_mut().enumerate() {
                    let is_suspect = suspects.next_if_eq(&number).is_some();
                    if listed.state == State::Suspect && !is_suspect {
                        listed.state = State::Clean;
                    }
                }
                Left::Values(distinct)
            }
        };
        Self { known, left, next_row: 0 }
    }

    /// The next row, and what replaces its value, if that is known.
    pub(crate) fn next(&mut self) -> Option<(usize, Option<&[u8]>)> {
        let Left::Values(distinct) = &self.left else {
            let Left::Rows(rows) = &mut self.left else { return None };
            return rows.next().map(|row| (row, None));
        };
        let left = distinct.numbers.get(self.next_row..)?;
        let state = |number: u32| distinct.values.get(number as usize).map(|listed| listed.state);
        let is_left = |&number: &u32| state(number).is_some_and(|state| state != State::Clean);
        let row = self.next_row + left.iter().position(is_left)?;
        self.next_row = row + 1;
        Some(match state(distinct.numbers[row]) {
            Some(State::Replaced(by)) => (row, Some(self.known.text(by))),
            _ => (row, None),
        })
    }

    /// Nothing was found in the value of a row.
    pub(crate) fn rule_out(&mut self, row: usize) {
        self.settle(row, State::Clean);
    }

    /// This replaces the value of a row, wherever it stands.
    pub(crate) fn replace(&mut self, row: usize, by: &[u8]) {
        if matches!(self.left, Left::Values(_)) && !self.known.is_full() {
            let by = self.known.keep(by);
            self.settle(row, State::Replaced(by));
        }
    }

    fn settle(&mut self, row: usize, state: State) {
        if let Left::Values(distinct) = &mut self.left {
            let number = distinct.number(row);
            distinct.values[number].state = state;
        }
    }

    /// Ends the batch: what is known of its values is remembered.
    pub(crate) fn remember(self) {
        let Left::Values(distinct) = self.left else { return };
        for (number, listed) in distinct.values.iter().enumerate() {
            let Some(place) = listed.place else { continue };
            let place = &mut self.known.places[place as usize];
            // Another value may have taken the place.
            if place.is == Value::Listed(number as u32) {
                place.is = match listed.state {
                    State::Clean => Value::Clean,
                    State::Suspect => Value::Absent,
                    State::Replaced(by) => Value::Replaced(by),
                };
            }
        }
    }
}

/// Compares eight bytes at a time, which a component has no faster way to do.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, tail), (other_words, other_tail)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let is_equal =
        |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) == u64::from_le_bytes(*other);
    one.len() == other.len()
        && words.iter().zip(other_words).all(is_equal)
        && tail.iter().zip(other_tail).all(|(one, other)| one == other)
}

/// Multiplies and folds eight bytes at a time.
fn place_of(value: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, tail) = value.as_chunks::<8>();
    let hash =
        words.iter().fold(value.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = tail.iter().fold(0, |last, &byte| last << 8 | u64::from(byte));
    let hash = mix(hash, last).wrapping_mul(FACTOR);
    (hash >> (u64::BITS - PLACES.trailing_zeros())) as usize
}
