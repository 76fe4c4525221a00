//! A case, and how its parts are read.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json;

/// A name is shown in lines and diffs.
const NAME_BYTES_MAX: usize = 128;
/// The topic of cases that name none.
pub(crate) const TOPIC: &str = "audit_events";

/// Events, the configuration under which they are judged, and what must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    pub name: String,
    /// JSON text that is an object, byte by byte as the case has it.
    pub config: String,
    /// Secrets made up for the case, by name: real keys are never granted to a case.
    pub keys: BTreeMap<String, String>,
    /// Tables and calendars of the case, as JSON text that is an object; for the same reason.
    pub lookups: Option<String>,
    pub topic: String,
    /// Kafka's time of every record, in microseconds since 1970. Without it each record has the time of its
    /// own event.
    pub clock: Option<i64>,
    /// Payloads of Kafka records, in order.
    pub events: Vec<Vec<u8>>,
    pub expected: Expected,
}

/// What must come out, a JSON object each. `None`: the case does not say, and nothing may come out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub rows: Option<Vec<String>>,
    pub alerts: Option<Vec<String>>,
    pub dead_letters: Option<Vec<String>>,
}

impl Case {
    /// Events and lines that are expected.
    pub(crate) fn n_lines(&self) -> usize {
        let Expected { rows, alerts, dead_letters } = &self.expected;
        let expected = [rows, alerts, dead_letters].into_iter().flatten().map(Vec::len);
        self.events.len() + expected.sum::<usize>()
    }
}

impl Expected {
    /// Whether the case says nothing at all: its author has not finished it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Case {
    /// A case of this name without events.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(format!(
                "a name must have 1 to {NAME_BYTES_MAX} bytes and no control characters"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            config: "{}".to_owned(),
            keys: BTreeMap::new(),
            lookups: None,
            topic: TOPIC.to_owned(),
            clock: None,
            events: Vec::new(),
            expected: Expected::default(),
        })
    }

    /// Reads one of the settings of `case.json`. Whether the key is one of these.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "keys" => self.keys = keys(value)?,
            "lookups" => self.lookups = Some(object(value)?),
            "topic" => self.topic = text(value)?,
            "clock" => {
                let clock = serde_json::from_str(value);
                self.clock =
                    Some(clock.map_err(|_| "microseconds since 1970 are expected".to_owned())?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// JSON text that is an object, without the white space around it. A key that appears twice is refused.
pub(crate) fn object(text: &str) -> Result<String, String> {
    json::members(text)?;
    Ok(text.trim().to_owned())
}

/// As [`object`], for a line of what is expected: it must also be JSON that a parser can hold.
pub(crate) fn line(text: &str) -> Result<String, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => Ok(text.trim().to_owned()),
        Ok(_) => Err("a JSON object is expected".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

pub(crate) fn text(value: &str) -> Result<String, String> {
    serde_json::from_str(value).map_err(|_| "text is expected".to_owned())
}

fn keys(value: &str) -> Result<BTreeMap<String, String>, String> {
    let members = json::members(value)?;
    members.into_iter().map(|(name, secret)| Ok((name, text(secret)?))).collect()
}
