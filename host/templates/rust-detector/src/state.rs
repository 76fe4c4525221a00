//! What the detector remembers: one window and a count for each of its users.

use std::collections::BTreeMap;

use audit_plugin_sdk::Position;
use audit_plugin_sdk::codec::{Reader, Writer};

/// The newest events that an alert shows.
const EVENTS_MAX: usize = 10;

/// The open window. The map is ordered, so that equal states give equal bytes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Where the window starts, in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) window: i64,
    users: BTreeMap<String, Tally>,
}

/// The events of one user in the window.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) events: Vec<Position>,
}

impl Tally {
    /// Counts an event.
    pub(crate) fn add(&mut self, time: i64, position: Option<Position>) {
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        if self.events.len() == EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.extend(position);
    }
}

impl State {
    /// Closes the window if that one starts later.
    pub(crate) fn open(&mut self, window: i64) {
        if window > self.window {
            self.window = window;
            self.users.clear();
        }
    }

    /// The count of a user. `None` where there is no room for another one.
    pub(crate) fn tally(&mut self, user: &str, time: i64, max_users: usize) -> Option<&mut Tally> {
        if !self.users.contains_key(user) {
            if self.users.len() >= max_users {
                return None;
            }
            let tally = Tally { first: time, last: time, ..Tally::default() };
            self.users.insert(user.to_owned(), tally);
        }
        self.users.get_mut(user)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.int(self.window);
        writer.uint(self.users.len() as u64);
        for (user, tally) in &self.users {
            writer.bytes(user.as_bytes());
            writer.uint(tally.count);
            writer.int(tally.first);
            writer.int(tally.last);
            writer.uint(tally.events.len() as u64);
            for event in &tally.events {
                writer.int(event.partition.into());
                writer.int(event.offset);
            }
        }
        writer.finish()
    }

    /// `None` for bytes that `write` does not make: they may be damaged or hostile.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut state = Self { window: reader.int()?, users: BTreeMap::new() };
        for _ in 0..reader.count()? {
            let user = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
            let (count, first, last) = (reader.uint()?, reader.int()?, reader.int()?);
            let n_events = reader.count().filter(|n_events| *n_events <= EVENTS_MAX)?;
            let mut events = Vec::with_capacity(n_events);
            for _ in 0..n_events {
                let partition = reader.int()?.try_into().ok()?;
                events.push(Position { partition, offset: reader.int()? });
            }
            state.users.insert(user, Tally { count, first, last, events });
        }
        reader.is_at_end().then_some(state)
    }
}
