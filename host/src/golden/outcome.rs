//! What came out of a case.

use std::path::Path;

use audit_core::ReasonClass;
use serde_json::Value;

use super::case::Expected;
use super::error::Error;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// `{"offset": N, <each column that the plugin writes>: value}` for each row that was kept.
    pub(crate) rows: Vec<Value>,
    /// As delivered, without what a rebuild changes: the id and the digests.
    pub(crate) alerts: Vec<Value>,
    /// `{"offset": N, "class": …, "reason": …}`, by offset.
    pub(crate) dead_letters: Vec<Value>,
    /// The rows of the same events in two batches.
    pub(crate) split_rows: Vec<Value>,
    pub(crate) writes_columns: bool,
    pub(crate) is_detector: bool,
}

impl Outcome {
    /// What a case would have to expect to pass, apart from its rows in two batches.
    pub(crate) fn as_expected(&self) -> Expected {
        Expected {
            rows: Some(self.rows.clone()),
            alerts: Some(self.alerts.clone()),
            dead_letters: Some(self.dead_letters.clone()),
        }
    }
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
