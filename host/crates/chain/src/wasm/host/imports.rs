//! What a guest may call: log lines, cryptography with keys that it never sees, and lookups.

use audit_lookup::{Found, Interval, Set, Table};

use crate::text;
use crate::wasm::abi::audit_host::plugin::{crypto, log, lookup, types};
use crate::wasm::host::state::Guest;
use crate::wasm::keys::{HASH_BYTES, Key, SEALED_BYTES_MIN, TOKEN_BYTES_MIN, Texts};

/// Values that are hashed or encrypted between two checks of the deadline.
const VALUES_AT_A_TIME: usize = 1024;
/// Values that one call may have: each costs the host some ten bytes, also if it is empty. A batch has 8,192 rows.
const VALUES_MAX: usize = 1 << 20;

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        self.log_line(level, &message);
    }
}

impl Guest {
    fn key(&self, name: &str) -> Result<&Key, crypto::CryptoError> {
        self.grants.keys.get(name).ok_or_else(|| crypto::CryptoError::UnknownKey(text::name(name)))
    }

    /// Bytes that one result may have: the guest's memory holds no more either.
    fn result_bytes_max(&self) -> usize {
        self.meter.output_bytes()
    }

    /// The values of a column, unless the result, with at least `bytes_each` per value, exceeds its limit.
    fn values<'a>(
        &self,
        column: &'a types::Utf8ValuesResult,
        bytes_each: usize,
    ) -> Result<Vec<&'a [u8]>, crypto::CryptoError> {
        let n_bytes = column.offsets.len().saturating_sub(1).saturating_mul(bytes_each);
        if n_bytes > self.result_bytes_max() {
            return Err(crypto::CryptoError::BadInput(self.too_large()));
        }
        slices(column).map_err(crypto::CryptoError::BadInput)
    }

    fn check_result(&self, texts: &Texts) -> Result<(), crypto::CryptoError> {
        if texts.values.len() > self.result_bytes_max() {
            return Err(crypto::CryptoError::BadInput(self.too_large()));
        }
        self.check_time()
    }

    /// The guest itself is interrupted when it gets this error.
    fn check_time(&self) -> Result<(), crypto::CryptoError> {
        if self.is_over_time() {
            let problem = "the time of the call is over".to_owned();
            return Err(crypto::CryptoError::BadInput(problem));
        }
        Ok(())
    }

    fn too_large(&self) -> String {
        format!("the result has more than {} bytes (output-bytes-max)", self.result_bytes_max())
    }
}

impl crypto::Host for Guest {
    fn has_key(&mut self, key: String) -> bool {
        self.grants.keys.contains_key(&key)
    }

    fn key_id(&mut self, key: String) -> Result<String, crypto::CryptoError> {
        Ok(self.key(&key)?.id().to_owned())
    }

    fn keyed_hash(
        &mut self,
        key: String,
        values: types::Utf8ValuesResult,
    ) -> Result<Vec<u8>, crypto::CryptoError> {
        let key = self.key(&key)?;
        let values = self.values(&values, HASH_BYTES)?;
        let mut hashes = Vec::with_capacity(values.len() * HASH_BYTES);
        for part in values.chunks(VALUES_AT_A_TIME) {
            key.hash(part, &mut hashes);
            self.check_time()?;
        }
        Ok(hashes)
    }

    fn token(
        &mut self,
        key: String,
        values: types::Utf8ValuesResult,
    ) -> Result<types::Utf8ValuesResult, crypto::CryptoError> {
        let key = self.key(&key)?;
        let mut texts = Texts::default();
        for part in self.values(&values, TOKEN_BYTES_MIN)?.chunks(VALUES_AT_A_TIME) {
            key.tokens(part, &mut texts);
            self.check_result(&texts)?;
        }
        Ok(types::Utf8ValuesResult { offsets: texts.offsets, values: texts.values })
    }

    fn encrypt(
        &mut self,
        key: String,
        context: String,
        subjects: types::Utf8ValuesResult,
        values: types::Utf8ValuesResult,
    ) -> Result<types::Utf8ValuesResult, crypto::CryptoError> {
        let key = self.key(&key)?;
        let subjects = self.values(&subjects, SEALED_BYTES_MIN)?;
        let values = self.values(&values, SEALED_BYTES_MIN)?;
        if subjects.len() != values.len() {
            let (n_subjects, n_values) = (subjects.len(), values.len());
            let problem = format!("{n_subjects} subjects for {n_values} values");
            return Err(crypto::CryptoError::BadInput(problem));
        }
        let mut texts = Texts::default();
        let parts = subjects.chunks(VALUES_AT_A_TIME).zip(values.chunks(VALUES_AT_A_TIME));
        for (subjects, values) in parts {
            key.seal(&context, subjects, values, &mut texts);
            self.check_result(&texts)?;
        }
        Ok(types::Utf8ValuesResult { offsets: texts.offsets, values: texts.values })
    }
}

/// The values of a column.
fn slices(column: &types::Utf8ValuesResult) -> Result<Vec<&[u8]>, String> {
    let n_values = column.offsets.len().saturating_sub(1);
    if n_values > VALUES_MAX {
        return Err(format!("{n_values} values in one call, more than {VALUES_MAX}"));
    }
    let mut slices = Vec::with_capacity(column.offsets.len().saturating_sub(1));
    for ends in column.offsets.windows(2) {
        let slice = match *ends {
            [start, end] => usize::try_from(start)
                .ok()
                .zip(usize::try_from(end).ok())
                .and_then(|(start, end)| column.values.get(start..end)),
            _ => None,
        };
        slices.push(slice.ok_or("offsets are outside of the values")?);
    }
    Ok(slices)
}

impl Guest {
    /// A table that exists and is granted. For a guest one that is not granted does not exist.
    fn table<'a>(&self, set: &'a Set, name: &str) -> Result<&'a Table, lookup::LookupError> {
        let granted = self.grants.lookups.names.contains(name);
        let table = set.table(name).filter(|_| granted);
        table.ok_or_else(|| lookup::LookupError::UnknownTable(text::name(name)))
    }
}

impl lookup::Host for Guest {
    fn generation(&mut self) -> u64 {
        self.lookups.generation()
    }

    fn table(&mut self, name: String) -> Result<lookup::TableInfo, lookup::LookupError> {
        let table = Guest::table(self, &self.lookups, &name)?;
        Ok(lookup::TableInfo {
            columns: table.columns().to_vec(),
            rows: table.n_rows(),
            version: table.sha256().to_owned(),
            is_temporal: table.is_temporal(),
        })
    }

    fn find(
        &mut self,
        table: String,
        column: String,
        keys: types::Utf8ValuesResult,
        times: Option<Vec<i64>>,
    ) -> Result<lookup::Found, lookup::LookupError> {
        let table = Guest::table(self, &self.lookups, &table)?;
        let keys = slices(&keys).map_err(lookup::LookupError::BadInput)?;
        let n_times = times.as_ref().map(Vec::len);
        if n_times.is_some_and(|n| n != keys.len()) || (table.is_temporal() && n_times.is_none()) {
            let problem = format!("{} times for {} keys", n_times.unwrap_or(0), keys.len());
            return Err(lookup::LookupError::BadInput(problem));
        }
        let time = |idx: usize| times.as_ref().and_then(|times| times.get(idx).copied());
        let found = table.find(&column, keys.into_iter(), time, self.result_bytes_max());
        let found = found.ok_or(lookup::LookupError::UnknownColumn(column))?;
        let found = found.map_err(|_| lookup::LookupError::BadInput(self.too_large()))?;
        let Found { validity, offsets, values } = found;
        Ok(lookup::Found { validity, values: types::Utf8ValuesResult { offsets, values } })
    }

    fn calendar(
        &mut self,
        name: String,
        from: i64,
        until: i64,
    ) -> Result<Vec<lookup::Interval>, lookup::LookupError> {
        let granted = self.grants.lookups.names.contains(&name);
        let calendar = self.lookups.calendar(&name).filter(|_| granted);
        let calendar = calendar.ok_or(lookup::LookupError::UnknownTable(name))?;
        let intervals = calendar.intervals(from, until).ok_or_else(|| {
            lookup::LookupError::BadInput("more than 400 days are asked for".to_owned())
        })?;
        let interval = |interval: Interval| {
            let Interval { start, end, is_open, reason } = interval;
            lookup::Interval { start, end, is_open, reason }
        };
        Ok(intervals.into_iter().map(interval).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use audit_lookup::{Calendar, CalendarDefinition, KeyKind, Lookups, TableDefinition};

    use super::*;
    use crate::limits::Limits;
    use crate::wasm::host::state::{Granted, Grants};
    use crate::wasm::keys::Keys;

    fn column(texts: &[&str]) -> types::Utf8ValuesResult {
        let mut column = types::Utf8ValuesResult { offsets: vec![0], values: Vec::new() };
        for text in texts {
            column.values.extend_from_slice(text.as_bytes());
            column.offsets.push(column.values.len() as i32);
        }
        column
    }

    fn texts(column: &types::Utf8ValuesResult) -> Vec<&str> {
        let slices = slices(column).unwrap();
        slices.into_iter().map(|slice| std::str::from_utf8(slice).unwrap()).collect()
    }

    /// A guest with the key `k`, the tables `roles` and `hidden` of which the first is granted, and the
    /// calendar `office`.
    fn guest(limits: Limits) -> Guest {
        let definition = |key: &str, validity: Option<(&str, &str)>| TableDefinition {
            file: "t.csv".into(),
            kind: KeyKind::Exact,
            key: key.to_owned(),
            valid_from: validity.map(|(from, _)| from.to_owned()),
            valid_to: validity.map(|(_, to)| to.to_owned()),
            file_bytes_max: None,
            rows_max: None,
        };
        let roles = "user,role,from,to\nada,clerk,,2025-01-01\nada,admin,2025-01-01,\n";
        let roles = Table::from_csv("t", &definition("user", Some(("from", "to"))), roles);
        let hidden = Table::from_csv("t", &definition("k", None), "k,v\na,secret\n");
        let week = CalendarDefinition {
            time_zone: "UTC".to_owned(),
            hours: vec!["mon-sun 09:00-17:00".to_owned()],
            holidays: None,
        };
        let office = Calendar::new("c", &week, None).unwrap();
        let set = Set::of(
            BTreeMap::from([
                ("roles".to_owned(), roles.unwrap()),
                ("hidden".to_owned(), hidden.unwrap()),
            ]),
            BTreeMap::from([("office".to_owned(), office)]),
        );
        let names = ["roles".to_owned(), "office".to_owned(), "later".to_owned()];
        let lookups = Granted { names: names.into(), lookups: Lookups::new(set) };
        let keys = Keys::from([("k".to_owned(), Key::new(b"0123456789abcdef"))]);
        Guest::new("p".to_owned(), Grants { keys, lookups, ..Grants::default() }, limits)
    }

    #[test]
    fn columns_with_wrong_offsets_are_refused_everywhere() {
        let mut guest = guest(Limits::default());
        let k = || "k".to_owned();
        let good = || column(&["ada"]);
        for offsets in [vec![0, 9], vec![-1, 2], vec![5, 2]] {
            let bad =
                || types::Utf8ValuesResult { offsets: offsets.clone(), values: b"ada".to_vec() };
            assert!(crypto::Host::keyed_hash(&mut guest, k(), bad()).is_err());
            assert!(crypto::Host::token(&mut guest, k(), bad()).is_err());
            assert!(crypto::Host::encrypt(&mut guest, k(), String::new(), bad(), good()).is_err());
            assert!(crypto::Host::encrypt(&mut guest, k(), String::new(), good(), bad()).is_err());
            let (table, role) = ("roles".to_owned(), "role".to_owned());
            assert!(lookup::Host::find(&mut guest, table, role, bad(), Some(vec![0])).is_err());
        }
        assert!(
            crypto::Host::encrypt(&mut guest, k(), String::new(), column(&[]), good()).is_err()
        );
        assert!(crypto::Host::token(&mut guest, "x".to_owned(), good()).is_err());
        assert!(crypto::Host::key_id(&mut guest, "x".to_owned()).is_err());
    }

    #[test]
    fn a_table_is_looked_up_as_of_a_time() {
        let mut guest = guest(Limits::default());
        let mut find = |table: &str, column_name: &str, times: Option<Vec<i64>>| {
            let keys = column(&["ada", "eve", "ada"]);
            lookup::Host::find(&mut guest, table.to_owned(), column_name.to_owned(), keys, times)
        };
        let new_year = 1_735_689_600_000_000;
        let found = find("roles", "role", Some(vec![new_year - 1, new_year, new_year])).unwrap();
        assert_eq!(found.validity, [0b101]);
        assert_eq!(texts(&found.values), ["clerk", "", "admin"]);
        for times in [None, Some(vec![]), Some(vec![0; 4])] {
            let refused = find("roles", "role", times);
            assert!(matches!(refused, Err(lookup::LookupError::BadInput(_))), "{refused:?}");
        }
        let refused = find("roles", "rank", Some(vec![0; 3]));
        assert!(matches!(refused, Err(lookup::LookupError::UnknownColumn(_))), "{refused:?}");
    }

    #[test]
    fn what_is_not_granted_does_not_exist() {
        let mut guest = guest(Limits::default());
        for name in ["hidden", "later", "office", "nothing"] {
            let refused = lookup::Host::table(&mut guest, name.to_owned());
            assert!(matches!(refused, Err(lookup::LookupError::UnknownTable(_))), "{name}");
        }
        let info = lookup::Host::table(&mut guest, "roles".to_owned()).unwrap();
        assert!(info.is_temporal && info.rows == 2 && info.version.len() == 64);
        assert!(lookup::Host::calendar(&mut guest, "roles".to_owned(), 0, 1).is_err());
        let office =
            |guest: &mut Guest, until| lookup::Host::calendar(guest, "office".to_owned(), 0, until);
        assert!(office(&mut guest, 0).unwrap().is_empty());
        // 1970-01-01: closed until 09:00.
        let first = office(&mut guest, 1).unwrap().remove(0);
        assert_eq!((first.is_open, first.end), (false, 9 * 3_600_000_000));
        assert!(office(&mut guest, i64::MAX).is_err());
    }

    #[test]
    fn results_are_bounded() {
        let mut guest = guest(Limits { output_bytes: 20, ..Limits::default() });
        let keys = || column(&["ada"; 5]);
        let (table, role) = ("roles".to_owned(), "role".to_owned());
        let refused = lookup::Host::find(&mut guest, table, role, keys(), Some(vec![0; 5]));
        let Err(lookup::LookupError::BadInput(said)) = refused else { panic!("{refused:?}") };
        assert!(said.contains("output-bytes-max"), "{said}");
        let k = || "k".to_owned();
        assert!(crypto::Host::token(&mut guest, k(), keys()).is_err());
        assert!(crypto::Host::keyed_hash(&mut guest, k(), keys()).is_err());
        let sealed = crypto::Host::encrypt(&mut guest, k(), String::new(), keys(), keys());
        assert!(sealed.is_err());
    }

    #[test]
    fn values_are_bounded_in_their_number_too() {
        let mut guest = guest(Limits::default());
        let empty = |n_values: usize| types::Utf8ValuesResult {
            offsets: vec![0; n_values + 1],
            values: Vec::new(),
        };
        let mut find = |n_values: usize| {
            let (table, role) = ("roles".to_owned(), "role".to_owned());
            lookup::Host::find(&mut guest, table, role, empty(n_values), Some(vec![0; n_values]))
        };
        assert!(find(VALUES_MAX).is_ok());
        let Err(lookup::LookupError::BadInput(said)) = find(15_000_000) else { panic!("found") };
        assert!(said.contains("15000000 values in one call"), "{said}");
        let too_many = crypto::Host::keyed_hash(&mut guest, "k".to_owned(), empty(VALUES_MAX + 1));
        assert!(too_many.is_err());
    }

    /// Nothing interrupts the host's own work.
    #[test]
    fn keys_are_used_for_as_long_as_the_call_may_take() {
        let mut guest = guest(Limits::default());
        let (k, keys) = (|| "k".to_owned(), || column(&["ada"; 5]));
        guest.begin_call(Duration::from_mins(1));
        assert!(crypto::Host::keyed_hash(&mut guest, k(), keys()).is_ok());
        guest.begin_call(Duration::ZERO);
        assert!(crypto::Host::keyed_hash(&mut guest, k(), keys()).is_err());
        assert!(crypto::Host::token(&mut guest, k(), keys()).is_err());
        let sealed = crypto::Host::encrypt(&mut guest, k(), String::new(), keys(), keys());
        assert!(sealed.is_err());
    }
}
