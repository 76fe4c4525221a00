//! Tables and calendars that the host holds: roles, networks, business hours. Each is granted by name
//! in the configuration, as keys are. In unit tests they are the ones of
//! [`testing::give_table`](crate::testing::give_table) and
//! [`testing::give_calendar`](crate::testing::give_calendar).
//!
//! They may change between two batches, never within one. A plugin that caches answers from one batch to the
//! next must compare [`generation`] and drop them when it differs.

use std::collections::BTreeMap;
use std::fmt;

pub use crate::abi::audit_host::plugin::lookup::Interval;
use crate::abi::audit_host::plugin::lookup::{Found, LookupError as Refusal, TableInfo};
use crate::abi::audit_host::plugin::types::Fault;
use crate::abi::exports::audit_host::plugin::lifecycle::ConfigError;
use crate::batch::{Utf8Column, Validity};
use crate::builder::Utf8Edit;
use crate::export::batches;

#[cfg(target_arch = "wasm32")]
use crate::abi::audit_host::plugin::lookup as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::lookup as host;

const DAY_MICROS: i64 = 86_400_000_000;
/// Calendars are requested in pieces of this length: long enough that requests are rare.
const PIECE_MICROS: i64 = 64 * DAY_MICROS;
/// The most pieces that are kept: events of one batch may lie far apart if some are late or forged.
const PIECES_MAX: usize = 16;

/// A number that changes whenever any table or calendar does.
pub fn generation() -> u64 {
    host::generation()
}

/// A table, opened in `configure`.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    info: TableInfo,
}

impl Table {
    /// Opens a granted table. The error says what to write into the configuration.
    pub fn open(name: &str) -> Result<Self, LookupError> {
        let info = host::table(name).map_err(|refusal| LookupError::new(name, refusal))?;
        Ok(Self { name: name.to_owned(), info })
    }

    /// The name under which it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether rows are valid for a time only. [`Self::find`] then needs times.
    pub fn is_temporal(&self) -> bool {
        self.info.is_temporal
    }

    /// Whether the table has a column.
    pub fn has_column(&self, column: &str) -> bool {
        self.info.columns.iter().any(|own| own == column)
    }

    /// An error that names the existing columns if the table does not have this one. For `configure`.
    pub fn require_column(&self, column: &str) -> Result<(), LookupError> {
        if self.has_column(column) {
            return Ok(());
        }
        let columns = self.info.columns.join(", ");
        let text = format!("the table {} has no column {column}; it has: {columns}", self.name);
        Err(LookupError { text })
    }

    /// The values of a column for these keys, one per key: null for a null key and for one that is not in the
    /// table. `times` has the time of each key. Call it once per column.
    pub fn find(
        &self,
        column: &str,
        keys: &Utf8Column,
        times: Option<&[i64]>,
    ) -> Result<Utf8Column, LookupError> {
        let found = host::find(&self.name, column, keys.abi(), times)
            .map_err(|refusal| LookupError::new(&self.name, refusal))?;
        let found = column_of(found, keys.rows()).ok_or_else(|| LookupError {
            text: format!("the host gave an invalid answer for the table {}", self.name),
        })?;
        if !keys.has_nulls() {
            return Ok(found);
        }
        // A null key has an empty text in its place, which may be in the table.
        let mut edit = Utf8Edit::new(&found);
        for row in 0..keys.rows() {
            if keys.get(row).is_none() {
                edit.set_null(row);
            }
        }
        Ok(edit.finish())
    }
}

fn column_of(found: Found, rows: usize) -> Option<Utf8Column> {
    Utf8Column::new(rows, Validity::new(rows, Some(found.validity))?, found.values)
}

/// A calendar, opened in `configure`: which times are open and which are closed.
#[derive(Debug, Clone)]
pub struct Calendar {
    name: String,
    generation: u64,
    /// The number of the batch in which the generation was compared.
    compared_in: u64,
    // Invariant: intervals of the piece's time, in order, adjoining.
    pieces: BTreeMap<i64, Vec<Interval>>,
}

impl Calendar {
    /// Opens a calendar that is granted. The error says what to write into the configuration.
    pub fn open(name: &str) -> Result<Self, LookupError> {
        host::calendar(name, 0, 0).map_err(|refusal| LookupError::new(name, refusal))?;
        let (generation, pieces) = (generation(), BTreeMap::new());
        Ok(Self { name: name.to_owned(), generation, compared_in: batches(), pieces })
    }

    /// The name under which it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interval that a time lies in. One request to the host covers many days.
    pub fn at(&mut self, time: i64) -> Result<Interval, LookupError> {
        self.drop_outdated();
        // Intervals are half-open: the last time of all would be in none.
        let time = time.min(i64::MAX - 1);
        let piece = time.div_euclid(PIECE_MICROS);
        if !self.pieces.contains_key(&piece) {
            let fetched = self.fetch(piece)?;
            if self.pieces.len() >= PIECES_MAX {
                self.pieces.clear();
            }
            self.pieces.insert(piece, fetched);
        }
        let intervals = self.pieces.get(&piece).map(Vec::as_slice).unwrap_or_default();
        let after = intervals.partition_point(|interval| interval.start <= time);
        let found = after.checked_sub(1).and_then(|index| intervals.get(index));
        found.filter(|interval| time < interval.end).cloned().ok_or_else(|| LookupError {
            text: format!("the calendar {} does not cover a time of the batch", self.name),
        })
    }

    fn fetch(&self, piece: i64) -> Result<Vec<Interval>, LookupError> {
        let from = piece.saturating_mul(PIECE_MICROS);
        let until = from.saturating_add(PIECE_MICROS);
        host::calendar(&self.name, from, until)
            .map_err(|refusal| LookupError::new(&self.name, refusal))
    }

    fn drop_outdated(&mut self) {
        // Nothing changes within a batch, so the host is asked once per batch.
        if self.compared_in == batches() {
            return;
        }
        self.compared_in = batches();
        let current = generation();
        if self.generation != current {
            self.generation = current;
            self.pieces.clear();
        }
    }
}

/// Why a table or a calendar gave no answer. Converts to a [`Fault`] in `process` and a [`ConfigError`] in
/// `configure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupError {
    text: String,
}

impl LookupError {
    fn new(name: &str, refusal: Refusal) -> Self {
        let text = match refusal {
            Refusal::UnknownTable(_) => format!(
                "no table or calendar {name} is granted: define it under [lookups.{name}] or \
                 [calendars.{name}], and write lookups = [\"{name}\"] into the [[plugin]]"
            ),
            Refusal::UnknownColumn(column) => format!("the table {name} has no column {column}"),
            Refusal::BadInput(problem) => format!("asking {name}: {problem}"),
        };
        Self { text }
    }

    /// The error of the configuration's key that names the table: `roles`.
    #[must_use]
    pub fn of_key(self, key: &str) -> ConfigError {
        ConfigError::new(key, self.text)
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for LookupError {}

impl From<LookupError> for Fault {
    fn from(error: LookupError) -> Self {
        Self::Other(error.text)
    }
}

impl From<LookupError> for ConfigError {
    /// For a table without a configuration key of its own; otherwise see [`LookupError::of_key`].
    fn from(error: LookupError) -> Self {
        error.of_key("config")
    }
}
