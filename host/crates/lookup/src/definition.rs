//! The definitions of tables and calendars in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

const NAME_BYTES_MAX: usize = 64;

/// All definitions, by name. Tables and calendars share one namespace, because a plugin is granted both in
/// the same list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    pub tables: BTreeMap<String, TableDefinition>,
    pub calendars: BTreeMap<String, CalendarDefinition>,
}

impl Definitions {
    /// Every file to watch for changes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let tables = self.tables.values().map(|table| table.file.as_path());
        let holidays = self.calendars.values().filter_map(|calendar| calendar.holidays.as_deref());
        tables.chain(holidays)
    }

    /// Whether a table or a calendar has that name.
    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.calendars.contains_key(name)
    }

    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let tables = self.tables.keys().map(|name| ("lookups", name));
        let calendars = self.calendars.keys().map(|name| ("calendars", name));
        for (section, name) in tables.chain(calendars) {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
                let key = format!("{section}.{name:?}");
                let problem = format!("a name is 1 to {NAME_BYTES_MAX} letters, digits, _ or -");
                return Err(Error::Definition { key, problem });
            }
        }
        let both = self.tables.keys().find(|name| self.calendars.contains_key(*name));
        let Some(name) = both else { return Ok(()) };
        let problem = format!("lookups.{name} has the same name: rename one of them");
        Err(Error::Definition { key: format!("calendars.{name}"), problem })
    }
}

/// `[lookups.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TableDefinition {
    /// CSV, or Parquet if the name ends with `.parquet`.
    pub file: PathBuf,
    #[serde(default)]
    pub kind: KeyKind,
    /// The column of the keys.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_max: Option<u64>,
}

/// How keys are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Byte by byte.
    #[default]
    Exact,
    /// Keys are networks, looked up by address. The longest prefix counts.
    Cidr,
}

/// `[calendars.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CalendarDefinition {
    /// A name of the IANA time zone database.
    pub time_zone: String,
    /// `mon-fri 09:00-17:00`, half-open.
    pub hours: Vec<String>,
    /// CSV with a column `date`, and optionally `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holidays: Option<PathBuf>,
}

impl TableDefinition {
    /// Bytes of a table's file, and of the values in it, unless the definition says otherwise.
    pub const FILE_BYTES_DEFAULT: u64 = 64 << 20;
    /// The smallest and the largest limit that a definition may set.
    pub const FILE_BYTES: (u64, u64) = (1, 1 << 30);
    pub const ROWS_DEFAULT: u64 = 5_000_000;
    pub const ROWS: (u64, u64) = (1, 50_000_000);

    pub(crate) fn bytes_max(&self, key: &str) -> Result<u64, Error> {
        let given = self.file_bytes_max;
        within(key, "file-bytes-max", given, Self::FILE_BYTES_DEFAULT, Self::FILE_BYTES)
    }

    pub(crate) fn rows_max(&self, key: &str) -> Result<u64, Error> {
        within(key, "rows-max", self.rows_max, Self::ROWS_DEFAULT, Self::ROWS)
    }

    /// The columns with the start and the end of a row's validity: both or neither.
    pub(crate) fn validity(&self, key: &str) -> Result<Option<(&str, &str)>, Error> {
        let (there, absent) = match (self.valid_from.as_deref(), self.valid_to.as_deref()) {
            (Some(from), Some(to)) => return Ok(Some((from, to))),
            (None, None) => return Ok(None),
            (Some(_), None) => ("valid-from", "valid-to"),
            (None, Some(_)) => ("valid-to", "valid-from"),
        };
        let problem = format!("{absent} is missing: set it together with {there}, or omit both");
        Err(Error::Definition { key: key.to_owned(), problem })
    }
}

fn within(
    key: &str,
    limit: &str,
    given: Option<u64>,
    default: u64,
    (min, max): (u64, u64),
) -> Result<u64, Error> {
    let value = given.unwrap_or(default);
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let problem = format!("{value} must be from {min} to {max}");
    Err(Error::Definition { key: format!("{key}.{limit}"), problem })
}

/// The known name that is most similar to the given one, if any is similar enough.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let like =
        |name: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), &given.to_ascii_lowercase());
    let best = known.into_iter().map(|name| (like(name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.7).map(|(_, name)| name)
}
