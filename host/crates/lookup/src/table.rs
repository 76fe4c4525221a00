//! A loaded table. It never changes.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::Read;

use hashbrown::HashTable;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use sha2::{Digest as _, Sha256};

use crate::cidr::{Network, Prefixes};
use crate::columns::{Columns, Limits, Texts};
use crate::definition::{KeyKind, TableDefinition};
use crate::error::{Error, Place};
use crate::file::{Input, Stamp};
use crate::index::{Conflict, Groups, Validity, conflict_text};
use crate::{csv, parquet};

/// The rows of a file, found by key and, if the table has validity, as of a time.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    texts: Vec<Texts>,
    n_rows: u64,
    is_temporal: bool,
    sha256: String,
    version: String,
    groups: Groups,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Exact { groups: HashTable<u32>, column: usize },
    Cidr(Prefixes),
}

type Hasher = BuildHasherDefault<DefaultHasher>;

/// The values found, in Arrow layout. Null for keys without a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub validity: Vec<u8>,
    pub offsets: Vec<i32>,
    pub values: Vec<u8>,
}

/// The values found have more bytes than the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Table {
    /// Reads the file of a definition. `key` is the key of the configuration: `lookups.roles`.
    pub fn load(key: &str, definition: &TableDefinition) -> Result<(Self, Stamp), Error> {
        let bytes = definition.bytes_max(key)?;
        let limits = Limits { rows: definition.rows_max(key)?, bytes };
        definition.validity(key)?;
        let limit = format!("{key}.file-bytes-max");
        let input = Input::open(key, &definition.file, bytes, &limit)?;
        let is_parquet =
            definition.file.extension().is_some_and(|extension| extension == "parquet");
        let read = if is_parquet {
            parquet::read(&input.file, limits)
        } else {
            csv::read((&input.file).take(bytes), limits)
        };
        let maker = Maker { key, definition };
        let columns = read.map_err(|(place, problem)| maker.wrong(place, problem))?;
        let sha256 = input.sha256.clone();
        let table = maker.make(columns, sha256)?;
        let (_, stamp) = input.finish()?;
        Ok((table, stamp))
    }

    /// A table from CSV in memory. The definition's file only appears in errors.
    pub fn from_csv(key: &str, definition: &TableDefinition, csv: &str) -> Result<Self, Error> {
        let limits = Limits { rows: definition.rows_max(key)?, bytes: definition.bytes_max(key)? };
        let maker = Maker { key, definition };
        let read = csv::read(csv.as_bytes(), limits);
        let columns = read.map_err(|(place, problem)| maker.wrong(place, problem))?;
        maker.make(columns, hex::encode(Sha256::digest(csv)))
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Whether rows are found only as of a time.
    pub fn is_temporal(&self) -> bool {
        self.is_temporal
    }

    /// The SHA-256 of the file, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The SHA-256, in hex, of the file and its definition: the same file with another key column gives other
    /// answers.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The values of a column for these keys. `time` returns the time of a key by its index. `None` if there
    /// is no such column.
    pub fn find<'a>(
        &self,
        column: &str,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        time: impl Fn(usize) -> Option<i64>,
        bytes_max: usize,
    ) -> Option<Result<Found, TooLarge>> {
        let column = self.columns.iter().position(|own| own == column)?;
        let texts = self.texts.get(column)?;
        let n_keys = keys.len();
        let mut offsets = Vec::with_capacity(n_keys + 1);
        offsets.push(0);
        let (mut validity, mut values) = (vec![0_u8; n_keys.div_ceil(8)], Vec::new());
        for (idx, key) in keys.enumerate() {
            if let Some(row) = self.row(key, time(idx)) {
                values.extend_from_slice(texts.get(row).as_bytes());
                if let Some(byte) = validity.get_mut(idx / 8) {
                    *byte |= 1 << (idx % 8);
                }
            }
            let Ok(end) = i32::try_from(values.len()) else { return Some(Err(TooLarge)) };
            if values.len() > bytes_max {
                return Some(Err(TooLarge));
            }
            offsets.push(end);
        }
        Some(Ok(Found { validity, offsets, values }))
    }

    #[inline]
    fn row(&self, key: &[u8], time: Option<i64>) -> Option<u32> {
        match &self.keys {
            Keys::Exact { groups, column } => {
                let own = self.texts.get(*column)?;
                let is_it = |group: &u32| own.get(self.groups.any_row(*group)).as_bytes() == key;
                let group = groups.find(hash(key), is_it)?;
                self.groups.row_at(*group, time)
            }
            Keys::Cidr(prefixes) => {
                prefixes.find(&self.groups, std::str::from_utf8(key).ok()?, time)
            }
        }
    }
}

/// Users can compute this digest themselves: `docs/operations.md` lists its parts.
fn version(sha256: &str, definition: &TableDefinition) -> String {
    let kind = match definition.kind {
        KeyKind::Exact => "exact",
        KeyKind::Cidr => "cidr",
    };
    let (from, to) = (definition.valid_from.as_deref(), definition.valid_to.as_deref());
    let mut digest = Sha256::new();
    for part in [sha256, kind, &definition.key, from.unwrap_or(""), to.unwrap_or("")] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

fn hash(key: &[u8]) -> u64 {
    Hasher::default().hash_one(key)
}

/// Builds a table from the columns of its file.
struct Maker<'a> {
    key: &'a str,
    definition: &'a TableDefinition,
}

impl Maker<'_> {
    fn make(&self, columns: Columns, sha256: String) -> Result<Table, Error> {
        let key_column = columns.position(&format!("{}.key", self.key), &self.definition.key)?;
        let validity = self.validity(&columns)?;
        if columns.n_rows() == 0 {
            return Err(self.wrong(None, "it has no rows".to_owned()));
        }
        let none = Texts::default();
        let key_texts = columns.texts.get(key_column).unwrap_or(&none);
        let n_rows = columns.n_rows() as u32;
        if let Some(row) = (0..n_rows).find(|row| key_texts.get(*row).is_empty()) {
            return Err(self.at(&columns, row, "the key is empty".to_owned()));
        }
        let validity = validity.unwrap_or_default();
        let conflict = |Conflict { row, earlier }: Conflict| {
            let earlier = columns.places.get(earlier as usize).copied();
            let earlier = earlier.unwrap_or(Place::Row(0));
            self.at(&columns, row, conflict_text(!validity.is_empty(), earlier))
        };
        let (groups, keys) = match self.definition.kind {
            KeyKind::Exact => {
                let keys: Vec<&str> = (0..n_rows).map(|row| key_texts.get(row)).collect();
                let groups = Groups::new(&keys, &validity).map_err(conflict)?;
                let mut by_key = HashTable::with_capacity(groups.len() as usize);
                let hash_of = |group: &u32| hash(key_texts.get(groups.any_row(*group)).as_bytes());
                for group in 0..groups.len() {
                    by_key.insert_unique(hash_of(&group), group, hash_of);
                }
                (groups, Keys::Exact { groups: by_key, column: key_column })
            }
            KeyKind::Cidr => {
                let mut networks = Vec::with_capacity(n_rows as usize);
                for row in 0..n_rows {
                    let network = Network::parse(key_texts.get(row));
                    networks.push(network.map_err(|problem| self.at(&columns, row, problem))?);
                }
                let groups = Groups::new(&networks, &validity).map_err(conflict)?;
                let of_group = |group| networks[groups.any_row(group) as usize];
                let prefixes = Prefixes::new(groups.len(), of_group);
                (groups, Keys::Cidr(prefixes))
            }
        };
        let is_temporal = !validity.is_empty();
        let Columns { names, texts, .. } = columns;
        let n_rows = u64::from(n_rows);
        let version = version(&sha256, self.definition);
        Ok(Table { columns: names, texts, n_rows, is_temporal, sha256, version, groups, keys })
    }

    fn validity(&self, columns: &Columns) -> Result<Option<Vec<Validity>>, Error> {
        let Some((from, to)) = self.definition.validity(self.key)? else { return Ok(None) };
        let from_column = columns.position(&format!("{}.valid-from", self.key), from)?;
        let to_column = columns.position(&format!("{}.valid-to", self.key), to)?;
        let (Some(starts), Some(ends)) =
            (columns.texts.get(from_column), columns.texts.get(to_column))
        else {
            return Ok(None);
        };
        let mut validity = Vec::with_capacity(columns.n_rows());
        for row in 0..columns.n_rows() as u32 {
            let wrong = |problem| self.at(columns, row, problem);
            let time = |column: &str, text: &str, open: i64| {
                let time = if text.is_empty() { Some(open) } else { micros(text) };
                time.ok_or_else(|| {
                    wrong(format!(
                        "{column} is an invalid timestamp: write 2025-01-16T08:00:00Z, 2025-01-16 or nothing"
                    ))
                })
            };
            let start = time(from, starts.get(row), i64::MIN)?;
            let end = time(to, ends.get(row), i64::MAX)?;
            if start >= end {
                return Err(wrong(format!("{to} is not after {from}")));
            }
            validity.push((start, end));
        }
        Ok(Some(validity))
    }

    fn at(&self, columns: &Columns, row: u32, problem: String) -> Error {
        self.wrong(columns.places.get(row as usize).copied(), problem)
    }

    fn wrong(&self, place: Option<Place>, problem: String) -> Error {
        let (key, path) = (self.key.to_owned(), self.definition.file.clone());
        match place {
            Some(place) => Error::Row { key, path, place, problem },
            None => Error::File { key, path, problem },
        }
    }
}

/// RFC 3339 with an offset, or a date, which means midnight in UTC. A timestamp out of range, such as
/// 9999-12-31 for "no end", is the first or the last possible one.
fn micros(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    // A longer text has a time, which a date would lose.
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
    {
        let midnight = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight()));
        return Some(midnight.map_or(beyond(date), Timestamp::as_microsecond));
    }
    if let Ok(pieces) = Pieces::parse(text)
        && let (date, Some(time), Some(offset)) =
            (pieces.date(), pieces.time(), pieces.to_numeric_offset())
    {
        let is_beyond = offset.to_timestamp(date.to_datetime(time)).is_err();
        return is_beyond.then(|| beyond(date));
    }
    far_year(text)
}

fn beyond(date: Date) -> i64 {
    if date.year() < 0 { i64::MIN } else { i64::MAX }
}

/// A date or a timestamp with a year of more than four digits, as cast from Parquet: `+10000-01-01`.
fn far_year(text: &str) -> Option<i64> {
    let (end, unsigned) = match text.split_at_checked(1)? {
        ("+", unsigned) => (i64::MAX, unsigned),
        ("-", unsigned) => (i64::MIN, unsigned),
        _ => return None,
    };
    let (year, rest) = unsigned.split_once('-')?;
    let is_number = year.len() <= 6 && year.bytes().all(|byte| byte.is_ascii_digit());
    let is_far = is_number && year.parse::<u32>().is_ok_and(|year| year > 9999);
    // The rest is checked with a leap year.
    (is_far && micros(&format!("2000-{rest}")).is_some()).then_some(end)
}
