//! A golden case, ready to run: what it may use is loaded, and what it expects is parsed.

use audit_chain::{Granted, Keys};
use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// JSON text that is an object, byte by byte as the case has it.
    pub(crate) config: String,
    /// Made up for the case: real keys are never granted to it.
    pub(crate) keys: Keys,
    /// Tables and calendars of the case, for the same reason.
    pub(crate) lookups: Granted,
    pub(crate) topic: String,
    /// See [`audit_golden::Case`].
    pub(crate) clock: Option<i64>,
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) expected: Expected,
}

/// What must come out. `None`: the case does not say, and nothing may come out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) rows: Option<Vec<Value>>,
    pub(crate) alerts: Option<Vec<Value>>,
    pub(crate) dead_letters: Option<Vec<Value>>,
}
