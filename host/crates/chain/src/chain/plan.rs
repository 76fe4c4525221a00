//! Checks whether plugins work together in their order.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field};
use audit_core::schema;

use crate::error::Error;
use crate::limits::OnError;
use crate::plugin::spec::{Blueprint, PluginKind};

/// Checks every plugin against the columns that exist at its position, and returns the columns that
/// transforms add to the table.
pub(crate) fn check(plugins: &[&Blueprint]) -> Result<Vec<Field>, Error> {
    check_names(plugins)?;
    let mut columns = Columns::of_event();
    for plugin in plugins {
        let misfit = |problem| Error::Misfit { plugin: plugin.source.clone(), problem };
        columns.check_reads(plugin).map_err(misfit)?;
        match plugin.kind {
            PluginKind::Transform => columns.apply(plugin).map_err(misfit)?,
            PluginKind::Detector => columns.check_detector(plugin).map_err(misfit)?,
        }
    }
    Ok(columns.added)
}

/// Checks that every column of events that is replaced now will also be replaced by the next chain.
pub(crate) fn check_replaced(now: &[&Blueprint], next: &[&Blueprint]) -> Result<(), Error> {
    let event = schema::decoded();
    for plugin in now {
        for output in &plugin.writes {
            let writes = |other: &&Blueprint| other.writes.iter().any(|o| o.name == output.name);
            if event.index_of(&output.name).is_ok() && !next.iter().any(writes) {
                let (plugin, column) = (plugin.source.clone(), output.name.clone());
                return Err(Error::Exposed { plugin, column });
            }
        }
    }
    Ok(())
}

/// Checks that no plugin is given twice.
fn check_names(plugins: &[&Blueprint]) -> Result<(), Error> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for plugin in plugins {
        if let Some(first) = seen.insert(&plugin.id.name, &plugin.source) {
            return Err(Error::Misfit {
                plugin: plugin.source.clone(),
                problem: format!("{first} is the plugin {:?} already", plugin.id.name),
            });
        }
    }
    Ok(())
}

struct Columns {
    types: BTreeMap<String, DataType>,
    /// Columns whose equal values may differ after a plugin replaced them, and that plugin.
    scrambled: BTreeMap<String, String>,
    added: Vec<Field>,
    /// The plugin that adds each of these.
    added_by: BTreeMap<String, String>,
}

impl Columns {
    fn of_event() -> Self {
        let types = schema::decoded()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect();
        let (scrambled, added_by) = (BTreeMap::new(), BTreeMap::new());
        Self { types, scrambled, added: Vec::new(), added_by }
    }

    fn check_reads(&self, plugin: &Blueprint) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for name in &plugin.reads {
            if !self.types.contains_key(name) {
                let known: Vec<_> = self.types.keys().map(String::as_str).collect();
                return Err(format!(
                    "it reads the column {name:?}, which does not exist at its position; available: {}",
                    known.join(", ")
                ));
            }
            if !seen.insert(name) {
                return Err(format!("it reads the column {name:?} twice"));
            }
        }
        Ok(())
    }

    fn apply(&mut self, plugin: &Blueprint) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for output in &plugin.writes {
            let name = &output.name;
            if !seen.insert(name) {
                return Err(format!("it writes the column {name:?} twice"));
            }
            if schema::is_host_column(name) || schema::REQUIRED_FIELDS.contains(&name.as_str()) {
                return Err(format!("it writes the column {name:?}, which no plugin may change"));
            }
            if let Some(first) = self.added_by.get(name) {
                return Err(format!(
                    "it writes the column {name:?}, which {first} before it adds: give it another name"
                ));
            }
            match self.types.get(name) {
                Some(data_type) if *data_type != output.data_type => {
                    return Err(format!(
                        "it writes the column {name:?} as {}, but the table has {data_type}",
                        output.data_type
                    ));
                }
                Some(_) if plugin.on_error == OnError::Pass => {
                    return Err(format!(
                        "it replaces the column {name:?} and has on-error = \"pass\": a row that it \
                         fails on would be stored as it came; use \"quarantine\" or \"halt\""
                    ));
                }
                Some(_) if output.preserves_equality => {}
                Some(_) => {
                    self.scrambled.insert(name.clone(), plugin.source.clone());
                }
                None => {
                    check_new_name(name)?;
                    self.types.insert(name.clone(), output.data_type.clone());
                    self.added_by.insert(name.clone(), plugin.source.clone());
                    self.added.push(Field::new(name, output.data_type.clone(), true));
                }
            }
        }
        Ok(())
    }

    fn check_detector(&self, plugin: &Blueprint) -> Result<(), String> {
        if let Some(output) = plugin.writes.first() {
            return Err(format!("it is a detector and writes the column {:?}", output.name));
        }
        for key in &plugin.key_columns {
            if !plugin.reads.contains(key) {
                return Err(format!(
                    "it counts by {key:?}, which it does not read; it reads: {}",
                    plugin.reads.join(", ")
                ));
            }
            if let Some(by) = self.scrambled.get(key) {
                return Err(format!(
                    "it counts by {key}, but {by} replaces {key} before it, and equal values may \
                     differ afterwards; put {} before {by}, or let {by} hash {key} with a key",
                    plugin.source
                ));
            }
        }
        Ok(())
    }
}

fn check_new_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts_well && name.len() <= 64 && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "it adds the column {name:?}; a name must be 1 to 64 lower-case letters, digits or _ and \
         begin with a letter"
    ))
}
