//! Cases from their folders and components, made ready to run; and what they expect, written back.

use std::path::Path;

use audit_chain::{Granted, Key};
use audit_core::ReasonClass;
use serde_json::Value;

use super::case::{Case, Expected};
use super::error::Error;
use super::lookups;
use super::outcome::Outcome;

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

/// The reader of the case has checked that each line is a JSON object.
fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

/// Rewrites the expected files of a case, and returns which changed. Files that mean nothing for the plugin
/// are removed: they would be compared with nothing. The reason of a plugin's fault is left out, as it
/// names places in the sources of one machine.
pub(crate) fn update(
    folder: &Path,
    name: &str,
    outcome: &Outcome,
) -> Result<Vec<&'static str>, Error> {
    let lines = |values: &[Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let dead_letters: Vec<Value> = outcome.dead_letters.iter().map(portable).collect();
    let expected = audit_golden::Expected {
        rows: outcome.writes_columns.then(|| lines(&outcome.rows)),
        alerts: outcome.is_detector.then(|| lines(&outcome.alerts)),
        dead_letters: Some(lines(&dead_letters)),
    };
    Ok(audit_golden::write_expected(folder, name, &expected)?)
}

fn portable(letter: &Value) -> Value {
    let mut letter = letter.clone();
    if letter["class"] == ReasonClass::PluginFault.as_str()
        && let Value::Object(fields) = &mut letter
    {
        fields.remove("reason");
    }
    letter
}

#[cfg(test)]
mod tests {
    use std::fs;

    use audit_golden::{ALERTS, DEAD_LETTERS, ROWS};
    use serde_json::json;

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

    #[test]
    fn expected_files_are_written_for_what_the_plugin_does() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("first");
        fs::create_dir(&dir).unwrap();
        for (file, text) in [(ROWS, "{}\n"), (DEAD_LETTERS, "")] {
            fs::write(dir.join(file), text).unwrap();
        }
        let mut outcome = Outcome {
            rows: vec![json!({"offset": 0})],
            alerts: vec![json!({"z": 1, "a": 2})],
            is_detector: true,
            ..Outcome::default()
        };
        let changed = |outcome: &Outcome| update(folder.path(), "first", outcome).unwrap();
        assert_eq!(changed(&outcome), [ROWS, ALERTS]);
        assert_eq!(fs::read_to_string(dir.join(ALERTS)).unwrap(), "{\"a\":2,\"z\":1}\n");
        (outcome.is_detector, outcome.writes_columns) = (false, true);
        assert_eq!(changed(&outcome), [ROWS, ALERTS]);
        let letter = |class| json!({"offset": 0, "class": class, "reason": "why"});
        outcome.dead_letters = vec![letter("quarantined"), letter("plugin-fault")];
        assert_eq!(changed(&outcome), [DEAD_LETTERS]);
        let text = "{\"class\":\"quarantined\",\"offset\":0,\"reason\":\"why\"}\n\
                    {\"class\":\"plugin-fault\",\"offset\":0}\n";
        assert_eq!(fs::read_to_string(dir.join(DEAD_LETTERS)).unwrap(), text);
    }
}
