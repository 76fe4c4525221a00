//! All tables and calendars at one time, and how a set is reloaded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::calendar::Calendar;
use crate::definition::{CalendarDefinition, Definitions, KeyKind, TableDefinition};
use crate::error::Error;
use crate::file::Stamp;
use crate::table::Table;

/// Tables and calendars, by name. A set never changes.
#[derive(Debug, Default)]
pub struct Set {
    generation: u64,
    tables: BTreeMap<String, Held<Table, TableDefinition>>,
    calendars: BTreeMap<String, Held<Calendar, CalendarDefinition>>,
}

/// A loaded value, its definition, and the version of its file.
#[derive(Debug)]
struct Held<T, D> {
    value: Arc<T>,
    definition: D,
    stamp: Option<Stamp>,
}

impl<T, D: Clone> Clone for Held<T, D> {
    fn clone(&self) -> Self {
        let Self { value, definition, stamp } = self;
        Self { value: Arc::clone(value), definition: definition.clone(), stamp: *stamp }
    }
}

/// A new version of a table or a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub name: String,
    /// The file; empty for a calendar without holidays.
    pub file: PathBuf,
    /// The version before, a SHA-256 in hex. `None` if there was none of that name.
    pub before: Option<String>,
    pub after: String,
}

/// A table or calendar that was not loaded.
#[derive(Debug)]
pub struct Refused {
    pub name: String,
    pub file: PathBuf,
    pub error: Error,
}

/// The result of a reload.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// The new set. `None` if no file was read.
    pub set: Option<Set>,
    pub changed: Vec<Changed>,
    pub refused: Vec<Refused>,
}

impl Set {
    /// Loads everything that is defined. Returns the first error.
    pub fn load(definitions: &Definitions) -> Result<Self, Error> {
        definitions.check_names()?;
        let mut set = Self { generation: 1, ..Self::default() };
        for (name, definition) in &definitions.tables {
            set.tables.insert(name.clone(), load_table(name, definition)?);
        }
        for (name, definition) in &definitions.calendars {
            set.calendars.insert(name.clone(), load_calendar(name, definition)?);
        }
        Ok(set)
    }

    /// A set of tables and calendars in memory.
    pub fn of(tables: BTreeMap<String, Table>, calendars: BTreeMap<String, Calendar>) -> Self {
        let definition = |key: &str| TableDefinition {
            file: PathBuf::new(),
            kind: KeyKind::default(),
            key: key.to_owned(),
            valid_from: None,
            valid_to: None,
            file_bytes_max: None,
            rows_max: None,
        };
        let none =
            CalendarDefinition { time_zone: String::new(), hours: Vec::new(), holidays: None };
        let tables = tables.into_iter().map(|(name, table)| {
            let held = Held { value: Arc::new(table), definition: definition(&name), stamp: None };
            (name, held)
        });
        let calendars = calendars.into_iter().map(|(name, calendar)| {
            let held = Held { value: Arc::new(calendar), definition: none.clone(), stamp: None };
            (name, held)
        });
        Self { generation: 1, tables: tables.collect(), calendars: calendars.collect() }
    }

    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name).map(|held| &*held.value)
    }

    pub fn calendar(&self, name: &str) -> Option<&Calendar> {
        self.calendars.get(name).map(|held| &*held.value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.calendars.contains_key(name)
    }

    /// Increases whenever anything differs from the previous set.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The version of everything, by name. Two sets with the same versions give the same answers.
    pub fn versions(&self) -> BTreeMap<String, String> {
        let tables = self.tables.iter().map(|(name, held)| (name, held.value.version()));
        let calendars = self.calendars.iter().map(|(name, held)| (name, held.value.sha256()));
        tables.chain(calendars).map(|(name, version)| (name.clone(), version.to_owned())).collect()
    }

    /// Reads the files that changed, or all of them with `every`. What cannot be loaded stays as it was. So
    /// does what is no longer defined: a plugin may still use it.
    pub fn reload(&self, definitions: &Definitions, every: bool) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let (mut tables, mut calendars) = (self.tables.clone(), self.calendars.clone());
        if let Err(error) = definitions.check_names() {
            let (name, file) = (String::new(), PathBuf::new());
            reloaded.refused.push(Refused { name, file, error });
            return reloaded;
        }
        let mut is_read = false;
        for (name, definition) in &definitions.tables {
            let held = tables.get(name);
            let is_same = held.is_some_and(|held| {
                held.definition == *definition && held.stamp == Stamp::of(&definition.file)
            });
            if is_same && !every {
                continue;
            }
            let file = definition.file.clone();
            let next = load_table(name, definition).and_then(|next| match held {
                Some(held) => check_follows(name, held, next),
                None => Ok(next),
            });
            match next {
                Err(error) => {
                    reloaded.refused.push(Refused { name: name.clone(), file, error });
                }
                Ok(next) => {
                    let (before, after) =
                        (held.map(|held| held.value.version()), next.value.version());
                    let is_changed = held.is_none_or(|held| held.definition != *definition);
                    reloaded.note(name, file, before, after, is_changed);
                    tables.insert(name.clone(), next);
                    is_read = true;
                }
            }
        }
        for (name, definition) in &definitions.calendars {
            let held = calendars.get(name);
            let stamp = definition.holidays.as_deref().and_then(Stamp::of);
            let is_same =
                held.is_some_and(|held| held.definition == *definition && held.stamp == stamp);
            if is_same && !every {
                continue;
            }
            let file = definition.holidays.clone().unwrap_or_default();
            match load_calendar(name, definition) {
                Err(error) => {
                    reloaded.refused.push(Refused { name: name.clone(), file, error });
                }
                Ok(next) => {
                    let before = held.map(|held| held.value.sha256());
                    reloaded.note(name, file, before, next.value.sha256(), false);
                    calendars.insert(name.clone(), next);
                    is_read = true;
                }
            }
        }
        if is_read {
            // Even if only a time stamp differs, so that the next reload does not read the file again.
            let generation = self.generation + u64::from(!reloaded.changed.is_empty());
            reloaded.set = Some(Self { generation, tables, calendars });
        }
        reloaded
    }
}

impl Reloaded {
    fn note(
        &mut self,
        name: &str,
        file: PathBuf,
        before: Option<&str>,
        after: &str,
        is_changed: bool,
    ) {
        if before != Some(after) || is_changed {
            let (before, after) = (before.map(ToOwned::to_owned), after.to_owned());
            self.changed.push(Changed { name: name.to_owned(), file, before, after });
        }
    }
}

fn load_table(
    name: &str,
    definition: &TableDefinition,
) -> Result<Held<Table, TableDefinition>, Error> {
    let (table, stamp) = Table::load(&format!("lookups.{name}"), definition)?;
    Ok(Held { value: Arc::new(table), definition: definition.clone(), stamp: Some(stamp) })
}

fn load_calendar(
    name: &str,
    definition: &CalendarDefinition,
) -> Result<Held<Calendar, CalendarDefinition>, Error> {
    let (calendar, stamp) = Calendar::load(&format!("calendars.{name}"), definition)?;
    Ok(Held { value: Arc::new(calendar), definition: definition.clone(), stamp })
}

/// Plugins were configured with the previous version: what they rely on must still be there.
fn check_follows(
    name: &str,
    held: &Held<Table, TableDefinition>,
    next: Held<Table, TableDefinition>,
) -> Result<Held<Table, TableDefinition>, Error> {
    let refuse = |problem: String| {
        let (key, path) = (format!("lookups.{name}"), next.definition.file.clone());
        Err(Error::Incompatible { key, path, problem })
    };
    let gone = held.value.columns().iter().find(|column| !next.value.columns().contains(column));
    if let Some(gone) = gone {
        return refuse(format!("the column {gone:?} was removed"));
    }
    if held.value.is_temporal() != next.value.is_temporal() {
        return refuse("its validity columns were added or removed".to_owned());
    }
    if held.definition.kind != next.definition.kind {
        return refuse("its kind changed".to_owned());
    }
    Ok(next)
}

/// The current set, shared by everything that looks something up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    current: Arc<RwLock<Arc<Set>>>,
}

impl Lookups {
    pub fn new(set: Set) -> Self {
        Self { current: Arc::new(RwLock::new(Arc::new(set))) }
    }

    pub fn current(&self) -> Arc<Set> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the current set.
    pub fn replace(&self, set: Set) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}
