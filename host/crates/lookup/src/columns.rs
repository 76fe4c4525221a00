//! The values of a table. Each column is one contiguous buffer.

use crate::definition::nearest;
use crate::error::{Error, Place};

/// The most columns of a table.
const COLUMNS_MAX: usize = 256;

/// Text values, concatenated.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    ends: Vec<u32>,
    bytes: String,
}

impl Texts {
    pub(crate) fn push(&mut self, value: &str) {
        self.bytes.push_str(value);
        // Fits: a table holds at most 1 GiB.
        self.ends.push(self.bytes.len() as u32);
    }

    #[inline]
    pub(crate) fn get(&self, row: u32) -> &str {
        let row = row as usize;
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(row).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default() as usize..end as usize).unwrap_or_default()
    }
}

/// Columns while they are read, and the place of each row in the file.
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    pub(crate) texts: Vec<Texts>,
    pub(crate) places: Vec<Place>,
    n_bytes: u64,
    limits: Limits,
}

/// Limits of a table in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Columns {
    /// Columns of these names, which must differ. The caller adds the file to an error.
    pub(crate) fn new(names: Vec<String>, limits: Limits) -> Result<Self, String> {
        if names.is_empty() || names.len() > COLUMNS_MAX {
            return Err(format!("it has {} columns, not 1 to {COLUMNS_MAX}", names.len()));
        }
        for (idx, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(format!("column {} has no name", idx + 1));
            }
            if names.iter().take(idx).any(|before| before == name) {
                return Err(format!("duplicate column {name:?}"));
            }
        }
        let texts = names.iter().map(|_| Texts::default()).collect();
        Ok(Self { names, texts, places: Vec::new(), n_bytes: 0, limits })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.places.len()
    }

    /// Counts a row and its bytes. Call it before pushing the values.
    pub(crate) fn begin_row(&mut self, place: Place, n_bytes: usize) -> Result<(), String> {
        let Limits { rows, bytes } = self.limits;
        self.n_bytes = self.n_bytes.saturating_add(n_bytes as u64);
        if self.places.len() as u64 >= rows {
            return Err(format!("it has more than {rows} rows (rows-max)"));
        }
        if self.n_bytes > bytes {
            return Err(format!("its values have more than {bytes} bytes (file-bytes-max)"));
        }
        self.places.push(place);
        Ok(())
    }

    pub(crate) fn push(&mut self, column: usize, value: &str) {
        if let Some(texts) = self.texts.get_mut(column) {
            texts.push(value);
        }
    }

    /// The position of a column. `key` is the configuration's key that names it.
    pub(crate) fn position(&self, key: &str, name: &str) -> Result<usize, Error> {
        let found = self.names.iter().position(|own| own == name);
        found.ok_or_else(|| {
            let names = self.names.iter().map(String::as_str);
            let hint = nearest(name, names)
                .map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
            let there = self.names.join(", ");
            let problem = format!("the file has no column {name:?}; it has: {there}{hint}");
            Error::Definition { key: key.to_owned(), problem }
        })
    }
}
