//! The configuration: what to do, when, and how much of it.
//!
//! Unknown names are refused, or a typo in a test would look like a host that withstands everything.

use serde_json::{Map, Value};

use crate::abi::audit_host::plugin::types::ColumnType;
use crate::abi::audit_host::plugin::types::{Fault, Judgement};
use crate::abi::exports::audit_host::plugin::lifecycle::{Binding, ConfigError};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::{
    answers, configure, extra, faults, findings, forged, marks, quotes, resources, state, traps,
};

/// A call of `process` that misbehaves.
pub(crate) struct Call<'a> {
    pub(crate) options: &'a Options,
    /// The rows of the batch.
    pub(crate) n_rows: usize,
    /// The first row that was asked to misbehave.
    pub(crate) row: usize,
}

/// What to do, by the place at which it is done.
#[derive(Clone, Copy)]
pub(crate) enum Behavior {
    /// Nothing: a well-behaved plugin.
    Nothing,
    /// In `process`, before there is an answer. A detector has counted nothing yet.
    Act(fn(&Call)),
    /// In `process`: a fault instead of an answer, with the state as it was.
    Refuse(fn(&Call) -> Fault),
    /// In `process`: an answer made wrong. A detector has counted the batch by then.
    Spoil(fn(&Call, &mut Judgement)),
    /// The same for a detector that reads `user_agent`, too.
    Quote(fn(&Call, &mut Judgement)),
    /// The same for a transform that declared one more column, of this type.
    SpoilExtra(ColumnType, fn(&Call, &mut Judgement)),
    /// In `process`: an answer that the bindings could not express, as the bytes of its ABI.
    Forge(fn(&Call) -> *mut u8),
    /// After `process`, when the host lets the guest free its answer.
    AfterAnswer(fn()),
    /// When the host asks for memory for the arguments of any call after `configure`.
    Realloc(fn(usize, usize) -> *mut u8),
    /// In `configure`.
    Configure(fn(&Options, Binding) -> Result<Binding, ConfigError>),
    /// In `snapshot`.
    Snapshot(fn(&Options, Vec<u8>) -> Vec<u8>),
    /// In `restore`.
    Restore(fn(&[u8]) -> Result<(), RestoreError>),
}

/// Names of behaviors and what they do.
pub(crate) type Table = &'static [(&'static str, Behavior)];

const TABLES: &[Table] = &[
    &[("nothing", Behavior::Nothing), ("count", Behavior::Nothing)],
    marks::TABLE,
    quotes::TABLE,
    answers::TABLE,
    extra::TABLE,
    findings::TABLE,
    forged::TABLE,
    faults::TABLE,
    traps::TABLE,
    resources::TABLE,
    configure::TABLE,
    state::TABLE,
];

/// Rows by their offsets.
#[derive(Default)]
pub(crate) struct Rows {
    at: Vec<i64>,
    every: Option<i64>,
}

impl Rows {
    fn is_unset(&self) -> bool {
        self.at.is_empty() && self.every.is_none()
    }

    pub(crate) fn contains(&self, offset: i64) -> bool {
        self.at.contains(&offset)
            || self.every.is_some_and(|every| offset.checked_rem(every) == Some(0))
    }

    fn listed(at: Vec<i64>) -> Self {
        Self { at, every: None }
    }
}

pub(crate) struct Options {
    pub(crate) behavior: Behavior,
    /// The rows that set off the behavior; unset for every row.
    rows: Rows,
    /// How many batches of one instance may misbehave; unset for all of them.
    times: Option<u64>,
    /// Only batches with more rows misbehave: the failure that cutting up hides.
    above_rows: usize,
    /// Bytes of something large; each behavior has a default.
    bytes: Option<usize>,
    /// The number of something; each behavior has a default.
    n: Option<usize>,
    /// The name of a key, for the behaviors that hash.
    pub(crate) key: String,
    /// What the counting detector does, and at which rows.
    pub(crate) count: CountOptions,
}

#[derive(Default)]
pub(crate) struct CountOptions {
    pub(crate) alert: Rows,
    pub(crate) trap: Rows,
    pub(crate) spin: Rows,
    /// A fault with the state as it was.
    pub(crate) fault: Rows,
    /// A fault after the state was changed, which the contract forbids.
    pub(crate) dirty_fault: Rows,
    /// A wrong answer, which comes after the state was changed.
    pub(crate) bad_answer: Rows,
}

impl Options {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| refuse("", error.to_string()))?;
        let Value::Object(mut map) = value else {
            return Err(refuse("", "the configuration must be an object"));
        };
        let map = &mut map;
        let rows = Rows { at: take_list(map, "at_offset")?, every: take_number(map, "every")? };
        let count = CountOptions {
            alert: Rows {
                at: take_list(map, "alert_at")?,
                every: take_number(map, "alert_every")?,
            },
            trap: Rows::listed(take_list(map, "trap_at")?),
            spin: Rows::listed(take_list(map, "spin_at")?),
            fault: Rows::listed(take_list(map, "fault_at")?),
            dirty_fault: Rows::listed(take_list(map, "dirty_fault_at")?),
            bad_answer: Rows::listed(take_list(map, "bad_answer_at")?),
        };
        let options = Self {
            behavior: take_behavior(map)?,
            rows,
            times: take_size(map, "times")?.map(|times| times as u64),
            above_rows: take_size(map, "above_rows")?.unwrap_or(0),
            bytes: take_size(map, "bytes")?,
            n: take_size(map, "n")?,
            key: take_text(map, "key")?.unwrap_or_else(|| "k".to_owned()),
            count,
        };
        match map.keys().next() {
            Some(unknown) => Err(refuse(unknown, "no such key")),
            None => Ok(options),
        }
    }

    /// The first row of a batch that sets off the behavior, when this instance did it `n_done` times.
    pub(crate) fn triggered(&self, offsets: &[i64], n_done: u64) -> Option<usize> {
        if self.times.is_some_and(|times| n_done >= times) || offsets.len() <= self.above_rows {
            return None;
        }
        offsets.iter().position(|&offset| self.rows.is_unset() || self.rows.contains(offset))
    }

    /// Whether the behavior waits for certain rows.
    pub(crate) fn waits_for_rows(&self) -> bool {
        !self.rows.is_unset()
    }

    pub(crate) fn bytes_or(&self, default: usize) -> usize {
        self.bytes.unwrap_or(default)
    }

    pub(crate) fn n_or(&self, default: usize) -> usize {
        self.n.unwrap_or(default)
    }
}

fn take_behavior(map: &mut Map<String, Value>) -> Result<Behavior, ConfigError> {
    let name = take_text(map, "do")?.unwrap_or_else(|| "nothing".to_owned());
    let mut behaviors = TABLES.iter().flat_map(|table| table.iter());
    match behaviors.find(|(known, _)| *known == name) {
        Some((_, behavior)) => Ok(*behavior),
        None => {
            Err(refuse("do", format!("no behavior {name:?}; tests/guests/README.md has a list")))
        }
    }
}

fn take_text(map: &mut Map<String, Value>, key: &str) -> Result<Option<String>, ConfigError> {
    match map.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refuse(key, "must be text")),
    }
}

fn take_number(map: &mut Map<String, Value>, key: &str) -> Result<Option<i64>, ConfigError> {
    match map.remove(key) {
        None => Ok(None),
        Some(value) => as_number(key, &value).map(Some),
    }
}

fn take_size(map: &mut Map<String, Value>, key: &str) -> Result<Option<usize>, ConfigError> {
    let number = take_number(map, key)?;
    let size = number.map(usize::try_from).transpose();
    size.map_err(|_| refuse(key, "must be 0 or more, and fit into 32 bits"))
}

/// One offset or a list of them.
fn take_list(map: &mut Map<String, Value>, key: &str) -> Result<Vec<i64>, ConfigError> {
    match map.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(|value| as_number(key, value)).collect(),
        Some(value) => Ok(vec![as_number(key, &value)?]),
    }
}

fn as_number(key: &str, value: &Value) -> Result<i64, ConfigError> {
    value.as_i64().ok_or_else(|| refuse(key, "must be an integer"))
}

fn refuse(key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError { key: key.to_owned(), message: message.into() }
}
