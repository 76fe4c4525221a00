//! Golden cases, and how they travel inside a component.
//!
//! A case is a folder: `events.jsonl` and `config.json` go in, `rows.jsonl`, `alerts.jsonl` and
//! `dead_letters.jsonl` are expected. The component carries its cases in a custom section, so that the
//! host can run them before it lets a new version take over.

use std::fs;
use std::path::{Path, PathBuf};

use audit_toolchain::append_custom;
use serde_json::Value;

use crate::config::Error;
use crate::golden::parse;

/// The custom section: a JSON array of cases.
pub(crate) const SECTION: &str = "audit-host:golden";
/// Golden cases are read and run before each swap: they must stay small beside the plugin.
pub(crate) const BYTES_MAX: usize = 1 << 20;

const EVENTS: &str = "events.jsonl";
const CONFIG: &str = "config.json";
/// Keys, topic and clock of the case.
const CASE: &str = "case.json";
/// The files of what is expected, and their keys in the section.
const EXPECTED: [(&str, &str); 3] =
    [("rows", "rows.jsonl"), ("alerts", "alerts.jsonl"), ("dead_letters", "dead_letters.jsonl")];

/// The cases of a project, as JSON text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Golden {
    pub(crate) n_cases: usize,
    /// Folders without any file of what is expected, which are left out.
    pub(crate) unfinished: Vec<String>,
    json: String,
}

impl Golden {
    /// Reads all cases of a folder, which need not exist.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut cases = Vec::new();
        let mut unfinished = Vec::new();
        for dir in folders(folder)? {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if EXPECTED.iter().any(|(_, file)| dir.join(file).is_file()) {
                cases.push(case(&name, &dir)?);
            } else {
                unfinished.push(name);
            }
        }
        let json = format!("[{}]", cases.join(","));
        if json.len() > BYTES_MAX {
            let (path, n_bytes) = (folder.to_owned(), json.len());
            return Err(Error::GoldenTooLarge { path, n_bytes, max: BYTES_MAX });
        }
        // The host reads them before it lets the component judge: what it would refuse shows here.
        parse(&json).map_err(|error| {
            let (path, message) = (folder.to_owned(), error.to_string());
            Error::Parse { path, message }
        })?;
        Ok(Self { n_cases: cases.len(), unfinished, json })
    }

    /// Puts the cases into a component. Without any the component stays as it is.
    pub(crate) fn embed(&self, component: &mut Vec<u8>) {
        if self.n_cases > 0 {
            append_custom(component, SECTION, self.json.as_bytes());
        }
    }
}

/// The folders of the cases, by name.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let read = |cause| Error::Read { path: folder.to_owned(), cause };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.join(EVENTS).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// One case as a JSON object. Events and what is expected keep their text, so that no number is rounded.
fn case(name: &str, dir: &Path) -> Result<String, Error> {
    let mut json = format!("{{\"name\":{}", Value::from(name));
    let config = dir.join(CONFIG);
    let text = if config.is_file() { read(&config)? } else { "{}".to_owned() };
    json.push_str(",\"config\":");
    json.push_str(object(&config, None, &text)?);
    json.push_str(",\"events\":");
    json.push_str(&events(&read(&dir.join(EVENTS))?));
    for (key, file) in EXPECTED {
        let path = dir.join(file);
        let list = if path.is_file() { lines(&path)? } else { "[]".to_owned() };
        json.push_str(",\"");
        json.push_str(key);
        json.push_str("\":");
        json.push_str(&list);
    }
    let path = dir.join(CASE);
    if path.is_file() {
        let text = read(&path)?;
        let object = object(&path, None, &text)?;
        let members = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let members = members.unwrap_or_default().trim();
        if !members.is_empty() {
            json.push(',');
            json.push_str(members);
        }
    }
    json.push('}');
    Ok(json)
}

/// The lines of a file as a JSON array of payloads: an object as it stands, anything else as text.
fn events(text: &str) -> String {
    let event = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(_)) => line.to_owned(),
        _ => Value::from(line).to_string(),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    format!("[{}]", lines.map(event).collect::<Vec<_>>().join(","))
}

/// The lines of a file as a JSON array.
fn lines(path: &Path) -> Result<String, Error> {
    let text = read(path)?;
    let mut objects = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            objects.push(object(path, Some(idx + 1), line)?);
        }
    }
    Ok(format!("[{}]", objects.join(",")))
}

/// The text, if it is a JSON object.
fn object<'a>(path: &Path, line: Option<usize>, text: &'a str) -> Result<&'a str, Error> {
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let wrong =
        |what: String| Error::Parse { path: path.to_owned(), message: format!("{place}{what}") };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(text.trim()),
        Ok(_) => Err(wrong("not a JSON object".to_owned())),
        Err(error) => Err(wrong(format!("not JSON: {error}"))),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one case of these files.
    fn golden(files: &[(&str, &str)]) -> Result<Golden, Error> {
        let dir = tempfile::tempdir().expect("a folder");
        let case = dir.path().join("first");
        fs::create_dir(&case).expect("a folder");
        for (name, text) in files {
            fs::write(case.join(name), text).expect("a file");
        }
        Golden::read(dir.path())
    }

    #[test]
    fn a_case_keeps_its_text() {
        let files = [
            ("events.jsonl", "{\"n\": 1.10}\n\nno \"event\"\n"),
            ("case.json", "{ \"keys\": {\"k\": \"x\"}}\n"),
            ("config.json", "{ \"keep\": 2 }\n"),
            ("rows.jsonl", "{\"n\":12345678901234567890123}\n"),
        ];
        let golden = golden(&files).expect("a case");
        let expected = r#"[{"name":"first","config":{ "keep": 2 },"events":[{"n": 1.10},"no \"event\""],"rows":[{"n":12345678901234567890123}],"alerts":[],"dead_letters":[],"keys": {"k": "x"}}]"#;
        assert_eq!(golden.json, expected);
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        golden.embed(&mut component);
        assert!(component.ends_with(expected.as_bytes()));
    }

    #[test]
    fn a_case_without_expectations_is_left_out() {
        let golden = golden(&[("events.jsonl", "{}\n")]).expect("no case");
        assert_eq!((golden.n_cases, golden.unfinished), (0, vec!["first".to_owned()]));
        let none = Golden::read(Path::new("no/such/folder")).expect("no folder");
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        none.embed(&mut component);
        assert_eq!(component.len(), 8);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases: [(&[(&str, &str)], &str); 3] = [
            (
                &[("events.jsonl", ""), ("rows.jsonl", ""), ("case.json", "{\"key\": 1}")],
                "\"first\": the key \"key\" is not known",
            ),
            (
                &[("events.jsonl", ""), ("rows.jsonl", "[1]\n")],
                "rows.jsonl: line 1: not a JSON object",
            ),
            (
                &[("events.jsonl", ""), ("rows.jsonl", ""), ("config.json", "[]")],
                "config.json: not a JSON object",
            ),
        ];
        for (files, words) in cases {
            let said = golden(files).expect_err(words).to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        let line = format!("{{\"x\":\"{}\"}}\n", "x".repeat(1023));
        let events = line.repeat(1024);
        let said = golden(&[("events.jsonl", &events), ("rows.jsonl", "")]).expect_err("too much");
        assert!(said.to_string().contains("at most 1048576"), "{said}");
    }
}
