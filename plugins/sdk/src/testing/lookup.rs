//! `lookup` as the host implements it, with tables and calendars from the test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::abi::audit_host::plugin::lookup::{Found, Interval, LookupError, TableInfo};
use crate::abi::audit_host::plugin::types::Utf8Values;
use crate::export::begin_batch;

const RANGE_MICROS_MAX: i128 = 400 * 86_400_000_000;

thread_local! {
    static TABLES: RefCell<BTreeMap<String, Table>> = const { RefCell::new(BTreeMap::new()) };
    static CALENDARS: RefCell<BTreeMap<String, Vec<Interval>>> =
        const { RefCell::new(BTreeMap::new()) };
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

/// Grants a table to the plugins of this thread, or replaces it.
pub fn give_table(name: &str, table: Table) {
    TABLES.with_borrow_mut(|tables| tables.insert(name.to_owned(), table));
    changed();
}

/// Grants a calendar to the plugins of this thread, or replaces it. It is closed outside the intervals.
pub fn give_calendar(name: &str, mut intervals: Vec<Interval>) {
    intervals.sort_by_key(|interval| interval.start);
    let mut covering = Vec::new();
    let mut end = i64::MIN;
    for interval in intervals {
        assert!(interval.start >= end && interval.start < interval.end, "{interval:?} overlaps");
        covering.extend(closed(end, interval.start));
        end = interval.end;
        covering.push(interval);
    }
    covering.extend(closed(end, i64::MAX));
    CALENDARS.with_borrow_mut(|calendars| calendars.insert(name.to_owned(), covering));
    changed();
}

fn closed(start: i64, end: i64) -> Option<Interval> {
    let reason = "outside hours".to_owned();
    (start < end).then_some(Interval { start, end, is_open: false, reason })
}

fn changed() {
    GENERATION.set(GENERATION.get() + 1);
    // The host changes nothing within a batch.
    begin_batch();
}

/// A table for [`give_table`].
#[derive(Debug, Clone)]
pub struct Table {
    key: usize,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    validity: Option<(usize, usize)>,
    is_cidr: bool,
}

impl Table {
    /// A table from lines of text, the names of the columns first, fields separated by commas, without quotes.
    /// Panics on what the host would refuse.
    pub fn from_csv(key: &str, text: &str) -> Self {
        let fields = |line: &str| -> Vec<String> {
            line.split(',').map(|field| field.trim().to_owned()).collect()
        };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let columns = fields(lines.next().expect("a line with the names of the columns"));
        let rows: Vec<_> = lines.map(fields).collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "{row:?}");
        }
        let key = position(&columns, key);
        Self { key, columns, rows, validity: None, is_cidr: false }
    }

    /// Rows are valid from the one column (inclusive) to the other (exclusive), times such as
    /// `2025-01-16T08:00:00Z`; an empty end means that the row still is.
    #[must_use]
    pub fn temporal(mut self, valid_from: &str, valid_to: &str) -> Self {
        self.validity =
            Some((position(&self.columns, valid_from), position(&self.columns, valid_to)));
        self
    }

    /// The keys are networks in CIDR notation, found by addresses; the longest prefix counts.
    #[must_use]
    pub fn of_networks(mut self) -> Self {
        self.is_cidr = true;
        self
    }

    fn row(&self, key: &str, time: Option<i64>) -> Option<&Vec<String>> {
        let address = key.parse::<IpAddr>().ok().map(bits_of);
        let candidates = self.rows.iter().filter(|row| self.is_valid(row, time));
        candidates
            .filter_map(|row| {
                let own = &row[self.key];
                if !self.is_cidr {
                    return (own == key).then_some((0, row));
                }
                let (network, prefix) = network(own);
                let shift = 128 - prefix;
                let same = address?.checked_shr(shift).unwrap_or(0)
                    == network.checked_shr(shift).unwrap_or(0);
                same.then_some((prefix, row))
            })
            .max_by_key(|(prefix, _)| *prefix)
            .map(|(_, row)| row)
    }

    fn is_valid(&self, row: &[String], time: Option<i64>) -> bool {
        let (Some((from, to)), Some(time)) = (self.validity, time) else { return true };
        let ends = row[to].is_empty().then_some(i64::MAX);
        micros(&row[from]) <= time && time < ends.unwrap_or_else(|| micros(&row[to]))
    }
}

fn position(columns: &[String], name: &str) -> usize {
    let found = columns.iter().position(|column| column == name);
    found.unwrap_or_else(|| panic!("no column {name} among {columns:?}"))
}

/// IPv4 as IPv4-mapped IPv6 addresses, so that one number line holds both. No crate for networks is used here:
/// the sources of the SDK are copied into users' projects, and each dependency with them.
fn bits_of(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.to_bits()
}

fn network(text: &str) -> (u128, u32) {
    let (address, prefix) = text
        .split_once('/')
        .unwrap_or_else(|| panic!("{text:?} is not a network in CIDR notation"));
    let prefix = u32::from_str(prefix).expect("the length of a prefix");
    match address.parse().expect("an address") {
        IpAddr::V4(address) => (bits_of(address.into()), prefix + 96),
        IpAddr::V6(address) => (Ipv6Addr::to_bits(address), prefix),
    }
}

/// `2025-01-16T08:00:00Z` or `2025-01-16` as microseconds since 1970-01-01T00:00:00Z.
fn micros(text: &str) -> i64 {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let time = time.strip_suffix('Z').unwrap_or_else(|| panic!("{text:?} does not end with Z"));
    let number = |text: &str| i64::from_str(text).expect("a number of a date or a time");
    let [year, month, day] = parts(date, '-').map(number);
    let [hours, minutes, seconds] = parts(time, ':').map(number);
    // Days from the civil date, counted in years that begin in March:
    // http://howardhinnant.github.io/date_algorithms.html#days_from_civil
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year.rem_euclid(400) * 365 + year.rem_euclid(400) / 4
        - year.rem_euclid(400) / 100
        + day_of_year;
    let days = year.div_euclid(400) * 146_097 + day_of_era - 719_468;
    (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000
}

fn parts(text: &str, separator: char) -> [&str; 3] {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().unwrap_or_else(|_| panic!("{text:?} is not a date or a time"))
}

pub(crate) fn generation() -> u64 {
    GENERATION.get()
}

pub(crate) fn table(name: &str) -> Result<TableInfo, LookupError> {
    with_table(name, |table| {
        Ok(TableInfo {
            columns: table.columns.clone(),
            rows: table.rows.len() as u64,
            version: format!("test-{}", generation()),
            is_temporal: table.validity.is_some(),
        })
    })
}

pub(crate) fn find(
    name: &str,
    column: &str,
    keys: &Utf8Values,
    times: Option<&[i64]>,
) -> Result<Found, LookupError> {
    with_table(name, |table| {
        let at = table.columns.iter().position(|own| own == column);
        let at = at.ok_or_else(|| LookupError::UnknownColumn(column.to_owned()))?;
        let n_keys = keys.offsets.len() - 1;
        if table.validity.is_some() && times.is_none_or(|times| times.len() != n_keys) {
            return Err(LookupError::BadInput("there is not one time for each key".to_owned()));
        }
        let mut validity = vec![0; n_keys.div_ceil(8)];
        let mut values = Utf8Values { offsets: vec![0], values: Vec::new() };
        for (row, ends) in keys.offsets.windows(2).enumerate() {
            let key = &keys.values[ends[0] as usize..ends[1] as usize];
            let time = times.and_then(|times| times.get(row).copied());
            let key = std::str::from_utf8(key).expect("a column of text");
            if let Some(found) = table.row(key, time) {
                validity[row / 8] |= 1 << (row % 8);
                values.values.extend_from_slice(found[at].as_bytes());
            }
            values.offsets.push(values.values.len() as i32);
        }
        Ok(Found { validity, values })
    })
}

pub(crate) fn calendar(name: &str, from: i64, until: i64) -> Result<Vec<Interval>, LookupError> {
    CALENDARS.with_borrow(|calendars| {
        let intervals =
            calendars.get(name).ok_or_else(|| LookupError::UnknownTable(name.to_owned()))?;
        if i128::from(until) - i128::from(from) > RANGE_MICROS_MAX {
            return Err(LookupError::BadInput("more than 400 days are asked for".to_owned()));
        }
        let overlaps =
            |interval: &&Interval| from < until && interval.start < until && from < interval.end;
        Ok(intervals.iter().filter(overlaps).cloned().collect())
    })
}

fn with_table<T>(
    name: &str,
    then: impl FnOnce(&Table) -> Result<T, LookupError>,
) -> Result<T, LookupError> {
    TABLES.with_borrow(|tables| {
        let table = tables.get(name).ok_or_else(|| LookupError::UnknownTable(name.to_owned()))?;
        then(table)
    })
}
