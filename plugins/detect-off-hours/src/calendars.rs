//! The hours of each user: the default ones, or a calendar of the host.

use std::collections::BTreeMap;

use audit_hours::{Hours, Stretch};
use audit_plugin_sdk::lookup::{LookupError, Table, generation};
use audit_plugin_sdk::{Utf8Builder, Utf8Column, log};

/// The most calendars that are kept open. If a table names more, they are reopened repeatedly.
const CALENDARS_MAX: usize = 256;

/// The table that maps users to calendars.
#[derive(Debug)]
pub(crate) struct Owners {
    pub(crate) table: Table,
    pub(crate) column: String,
}

/// All hours that users are judged by.
#[derive(Debug)]
pub(crate) struct Calendars {
    default: Hours,
    owners: Option<Owners>,
    /// By name. `None` for one that the host does not grant, which is logged once.
    opened: BTreeMap<Vec<u8>, Option<Hours>>,
    generation: u64,
}

/// The names of the calendars of some rows, in their order.
pub(crate) struct Names(Option<Utf8Column>);

impl Calendars {
    pub(crate) fn new(default: Hours, owners: Option<Owners>) -> Self {
        Self { default, owners, opened: BTreeMap::new(), generation: 0 }
    }

    /// Call it before each batch: calendars and tables change between two batches.
    pub(crate) fn start_batch(&mut self) {
        self.default.start_batch();
        if self.owners.is_none() {
            return;
        }
        let current = generation();
        if self.generation != current || self.opened.len() > CALENDARS_MAX {
            self.generation = current;
            self.opened.clear();
        }
        self.opened.values_mut().flatten().for_each(Hours::start_batch);
    }

    /// Looks up, in one call, the calendars of these users at these times.
    pub(crate) fn names<'a>(
        &self,
        of: impl ExactSizeIterator<Item = (&'a [u8], i64)>,
    ) -> Result<Names, LookupError> {
        let Some(owners) = &self.owners else {
            return Ok(Names(None));
        };
        let mut users = Utf8Builder::with_capacity(of.len(), of.len() * 8);
        let mut times = Vec::with_capacity(of.len());
        for (user, time) in of {
            users.push(user);
            times.push(time);
        }
        let found = owners.table.find(&owners.column, &users.finish(), Some(&times))?;
        Ok(Names(Some(found)))
    }

    /// The stretch that a time lies in, by the hours of the row `index`.
    pub(crate) fn at(
        &mut self,
        names: &Names,
        index: usize,
        time: i64,
    ) -> Result<Stretch, LookupError> {
        let name = names.0.as_ref().and_then(|names| names.get(index));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return self.default.at(time);
        };
        if !self.opened.contains_key(name) {
            let opened = open(name);
            self.opened.insert(name.to_vec(), opened);
        }
        match self.opened.get_mut(name) {
            Some(Some(own)) => own.at(time),
            _ => self.default.at(time),
        }
    }
}

/// The calendar of a name. A mistake in the table must not stop the host at midnight, so users with a calendar
/// that is not granted get the default hours.
fn open(name: &[u8]) -> Option<Hours> {
    let name = String::from_utf8_lossy(name);
    match Hours::of_calendar(&name) {
        Ok(hours) => Some(hours),
        Err(error) => {
            log::warn(&format!("users of this calendar are judged by the default hours: {error}"));
            None
        }
    }
}
