//! What a group has accepted: the columns that each plugin reads and writes, and those that must stay replaced. A
//! property of the table, so that it outlives processes, machines and configuration files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::catalog::Store;
use crate::error::Error;
use crate::table::names::{self, TableName};

/// What a plugin was accepted with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pin {
    /// The file or `builtin:NAME`.
    pub source: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    /// What the operator has set for it and must not be lost without a word, as paths: `config.fields.user_email`,
    /// `sha256`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub settings: BTreeSet<String>,
}

/// What a group has accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Pins {
    /// By the plugin's name. A plugin that left the chain stays: it may come back as it was, and not as another.
    pub plugins: BTreeMap<String, Pin>,
    /// Plugin folders whose content was accepted as it was.
    pub folders: BTreeSet<String>,
    /// Columns that must stay replaced, with the kinds of marked values that must not come out.
    pub replaced: BTreeMap<String, BTreeSet<String>>,
    /// Why the last start was refused, so that it is recorded once; empty if it was not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused: String,
}

impl Pins {
    /// The pin of the plugin that was accepted from this file.
    pub fn of_source(&self, source: &str) -> Option<&Pin> {
        self.plugins.values().find(|pin| pin.source == source)
    }
}

/// The pins of a run. Whoever changes them does not commit: the next commit of the table records them.
#[derive(Debug, Clone, Default)]
pub struct PinBook(Arc<Mutex<Option<Pins>>>);

impl PinBook {
    pub(crate) fn new(pins: Option<Pins>) -> Self {
        Self(Arc::new(Mutex::new(pins)))
    }

    /// As they are now; `None` before the group's first start, unless other groups of the table hide something.
    pub fn get(&self) -> Option<Pins> {
        self.lock().clone()
    }

    pub fn set(&self, pins: Pins) {
        *self.lock() = Some(pins);
    }

    /// The property, if it differs from what the table has.
    pub(crate) fn property(&self, table: &Table, group: &str) -> Option<(String, String)> {
        let property = names::pins_property(group);
        let pins = serde_json::json!(self.lock().as_ref()?).to_string();
        let is_known = table.metadata().properties().get(&property) == Some(&pins);
        (!is_known).then_some((property, pins))
    }

    /// A value stays consistent even if a thread that held it panicked.
    fn lock(&self) -> MutexGuard<'_, Option<Pins>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pins of a group as the table has them. A group that is new to a table must hide what others hide there: a
/// configuration that lost the line with its group would otherwise begin anew, without a plugin.
pub(crate) fn pins_in(table: &Table, group: &str) -> Result<Option<Pins>, Error> {
    let properties = table.metadata().properties();
    let own = names::pins_property(group);
    if let Some(json) = properties.get(&own) {
        return read(&own, json).map(Some);
    }
    let mut replaced: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (property, json) in properties.iter().filter(|(name, _)| names::is_pins_property(name)) {
        for (column, kinds) in read(property, json)?.replaced {
            replaced.entry(column).or_default().extend(kinds);
        }
    }
    Ok((!replaced.is_empty()).then(|| Pins { replaced, ..Pins::default() }))
}

fn read(property: &str, json: &str) -> Result<Pins, Error> {
    serde_json::from_str(json).map_err(|cause| Error::Damaged {
        what: "the table property",
        location: property.to_owned(),
        problem: format!(
            "{cause}; it says what plugins may do: restore it from an older metadata file"
        ),
    })
}

/// The pins of a group, as [`PinBook::get`] has them at a start.
pub async fn pins(store: &Store, name: &TableName, group: &str) -> Result<Option<Pins>, Error> {
    pins_in(&store.load(name).await?, group)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table keeps this text for years: what is written today must be read by every later version.
    #[test]
    fn pins_have_the_json_that_tables_hold() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let pin = Pin {
            source: "/p.wasm".to_owned(),
            sha256: "aa".to_owned(),
            reads: set(&["details"]),
            writes: set(&["details"]),
            settings: set(&["sha256"]),
        };
        let pins = Pins {
            plugins: BTreeMap::from([("p".to_owned(), pin)]),
            folders: set(&["/plugins"]),
            replaced: BTreeMap::from([("details".to_owned(), set(&["email"]))]),
            refused: String::new(),
        };
        let json = concat!(
            r#"{"plugins":{"p":{"source":"/p.wasm","sha256":"aa","reads":["details"],"writes":["details"],"#,
            r#""settings":["sha256"]}},"#,
            r#""folders":["/plugins"],"replaced":{"details":["email"]}}"#,
        );
        assert_eq!(serde_json::to_string(&pins).unwrap(), json);
        assert_eq!(serde_json::from_str::<Pins>(json).unwrap(), pins);
        assert_eq!(serde_json::from_str::<Pins>("{}").unwrap(), Pins::default());
        assert!(pins.of_source("/p.wasm").is_some() && pins.of_source("/q.wasm").is_none());
    }
}
