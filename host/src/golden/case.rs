//! A case ready to run: what it may use is loaded, and what it expects is parsed.

use std::path::Path;

use audit_chain::{Granted, Key, Keys};
use serde_json::Value;

use super::error::Error;
use super::lookups;

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

/// The cases that a component carries, in order.
pub(crate) fn embedded(component: &[u8]) -> Result<Vec<Case>, Error> {
    audit_golden::embedded(component)?.into_iter().map(Case::try_from).collect()
}

/// The cases of a folder, by name.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Case>, Error> {
    audit_golden::read_folder(folder)?.into_iter().map(Case::try_from).collect()
}

impl TryFrom<audit_golden::Case> for Case {
    type Error = Error;

    fn try_from(case: audit_golden::Case) -> Result<Self, Error> {
        let lookups = match &case.lookups {
            Some(text) => lookups::parse(text)
                .map_err(|problem| Error::Lookups { case: case.name.clone(), problem })?,
            None => Granted::default(),
        };
        let keys = case.keys.into_iter().map(|(name, secret)| (name, Key::new(secret.as_bytes())));
        let values = |lines: Option<Vec<String>>| lines.map(|lines| parsed(&lines));
        Ok(Self {
            name: case.name,
            config: case.config,
            keys: keys.collect(),
            lookups,
            topic: case.topic,
            clock: case.clock,
            events: case.events,
            expected: Expected {
                rows: values(case.expected.rows),
                alerts: values(case.expected.alerts),
                dead_letters: values(case.expected.dead_letters),
            },
        })
    }
}

/// Whoever read the case has checked that each line is a JSON object.
fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Case, Error> {
        Case::try_from(audit_golden::parse(json)?.remove(0))
    }

    #[test]
    fn a_case_has_its_keys_and_lookups() {
        let case = of(r#"[{"name":"x","events":[],"keys":{"k":"secret"},"rows":[{"offset":0}],
            "lookups":{"t":{"csv":"k\na\n","key":"k"}}}]"#)
        .unwrap();
        assert_eq!(format!("{:?}", case.keys), r#"{"k": Key(..)}"#);
        assert!(case.lookups.names.contains("t"));
        assert_eq!(case.expected.rows, Some(vec![serde_json::json!({"offset": 0})]));
    }

    #[test]
    fn a_lookup_that_does_not_load_is_named() {
        for (lookup, says) in [
            (r#"{"csv":"k\na\na\n","key":"k"}"#, "lookups.t: t.csv, line 3"),
            (r#"{"key":"k"}"#, "t: neither a table (csv, key) nor a calendar (time-zone, hours)"),
        ] {
            let json = format!(r#"[{{"name":"x","events":[],"lookups":{{"t":{lookup}}}}}]"#);
            let said = of(&json).unwrap_err().to_string();
            assert!(said.contains("the golden case \"x\"") && said.contains(says), "{said}");
        }
    }
}
