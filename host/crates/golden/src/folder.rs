//! Cases as folders, as an author keeps them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::case::{self, Case, Expected};
use crate::error::Error;
use crate::json;

/// The file that makes a folder a case: one payload a line.
pub const EVENTS: &str = "events.jsonl";
const CONFIG: &str = "config.json";
/// Keys, lookups, topic and clock of the case.
const CASE: &str = "case.json";
pub const ROWS: &str = "rows.jsonl";
pub const ALERTS: &str = "alerts.jsonl";
pub const DEAD_LETTERS: &str = "dead_letters.jsonl";

/// Bytes of one file: a case is read by people, and a folder named by mistake may hold anything.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The cases of a folder, by name: each folder in it that has events. None if it does not exist.
pub fn read_folder(folder: &Path) -> Result<Vec<Case>, Error> {
    let mut cases = Vec::new();
    for dir in folders(folder)? {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        cases.push(read_case(&name, &dir)?);
    }
    Ok(cases)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |cause| Error::File {
        attempted: "looking for golden cases in",
        path: folder.to_owned(),
        cause,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.join(EVENTS).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_case(name: &str, dir: &Path) -> Result<Case, Error> {
    let mut case = Case::new(name).map_err(|problem| wrong(dir, problem))?;
    let events = read(&dir.join(EVENTS))?.unwrap_or_default();
    // Blank lines are for people. An empty payload is a record all the same, but only a component's
    // section can say so.
    let lines = events.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    case.events = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let path = dir.join(CONFIG);
    if let Some(text) = read_text(&path)? {
        case.config = case::object(&text).map_err(|problem| wrong(&path, problem))?;
    }
    let path = dir.join(CASE);
    if let Some(text) = read_text(&path)? {
        for (key, value) in json::members(&text).map_err(|problem| wrong(&path, problem))? {
            let is_known = case.set(&key, value);
            if !is_known.map_err(|problem| wrong(&path, format!("{key}: {problem}")))? {
                let problem =
                    format!("unknown key {key:?}; available: keys, lookups, topic, clock");
                return Err(wrong(&path, problem));
            }
        }
    }
    case.expected = Expected {
        rows: read_lines(&dir.join(ROWS))?,
        alerts: read_lines(&dir.join(ALERTS))?,
        dead_letters: read_lines(&dir.join(DEAD_LETTERS))?,
    };
    Ok(case)
}

fn wrong(path: &Path, problem: String) -> Error {
    Error::Case { place: path.display().to_string(), problem }
}

/// One object a line; `None` if there is no such file.
fn read_lines(path: &Path) -> Result<Option<Vec<String>>, Error> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    let mut lines = Vec::new();
    for (line_idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |problem| {
            let place = format!("{}, line {}", path.display(), line_idx + 1);
            Error::Case { place, problem }
        };
        lines.push(case::line(line).map_err(wrong)?);
    }
    Ok(Some(lines))
}

fn read_text(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|error| wrong(path, error.to_string()))
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let problem = format!("it has more than {FILE_BYTES_MAX} bytes: make the case smaller");
            return Err(io::Error::other(problem));
        }
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => {
            let path = path.to_owned();
            Err(Error::File { attempted: "reading a file of a golden case,", path, cause })
        }
    }
}

/// Writes the files of what a case of a folder expects, and returns the names of those that changed. A
/// file goes where `expected` has `None`.
pub fn write_expected(
    folder: &Path,
    name: &str,
    expected: &Expected,
) -> Result<Vec<&'static str>, Error> {
    let dir = folder.join(name);
    let wanted = [
        (ROWS, &expected.rows),
        (ALERTS, &expected.alerts),
        (DEAD_LETTERS, &expected.dead_letters),
    ];
    let mut changed = Vec::new();
    for (file, lines) in wanted {
        let path = dir.join(file);
        let before = read(&path)?;
        let after = lines.as_ref().map(|lines| {
            let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
            text.into_bytes()
        });
        if before == after {
            continue;
        }
        let written = match &after {
            Some(bytes) => fs::write(&path, bytes),
            None => fs::remove_file(&path),
        };
        written.map_err(|cause| Error::File {
            attempted: "writing a file of a golden case,",
            path,
            cause,
        })?;
        changed.push(file);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("first")).unwrap();
        fs::create_dir(folder.path().join("no-case")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join("first").join(name), bytes).unwrap();
        }
        folder
    }

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_folder_is_read() {
        let files: [(&str, &[u8]); 5] = [
            (EVENTS, b"{\"b\": 1, \"a\": 1}\r\n\nno json\xff\n"),
            (CONFIG, b"{ \"keep\": 2 }\n"),
            (CASE, br#"{"keys": {"k": "secret"}, "topic": "t", "clock": 5}"#),
            (ROWS, b"{\"offset\":0}\n\n{\"n\": 12345678901234567890123}\n"),
            (ALERTS, b""),
        ];
        let folder = folder(&files);
        let cases = read_folder(folder.path()).unwrap();
        assert_eq!(cases.len(), 1);
        let case = &cases[0];
        assert_eq!((case.name.as_str(), case.config.as_str()), ("first", "{ \"keep\": 2 }"));
        assert_eq!(case.events, [b"{\"b\": 1, \"a\": 1}".as_slice(), b"no json\xff"]);
        assert_eq!((case.topic.as_str(), case.clock, case.keys.len()), ("t", Some(5), 1));
        let expected = Expected {
            rows: Some(owned(&["{\"offset\":0}", "{\"n\": 12345678901234567890123}"])),
            alerts: Some(Vec::new()),
            dead_letters: None,
        };
        assert_eq!(case.expected, expected);
        assert_eq!(read_folder(&folder.path().join("absent")).unwrap().len(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases: [(&str, &[u8], &str); 6] = [
            (CONFIG, b"[]", "config.json: an object is expected"),
            (CASE, b"{\"key\": {}}", "case.json: unknown key \"key\""),
            (CASE, b"{\"topic\": 1}", "case.json: topic: text is expected"),
            (ROWS, b"{}\n{\n", "rows.jsonl, line 2: not JSON"),
            (ALERTS, b"[1]\n", "alerts.jsonl, line 1: a JSON object is expected"),
            (DEAD_LETTERS, b"\xff", "dead_letters.jsonl: invalid utf-8"),
        ];
        for (file, bytes, says) in cases {
            let folder = folder(&[(EVENTS, b"{}"), (file, bytes)]);
            let said = read_folder(folder.path()).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn expected_files_are_written_where_they_differ() {
        let folder = folder(&[(EVENTS, b"{}"), (ROWS, b"{}\n"), (DEAD_LETTERS, b"")]);
        let mut expected = Expected {
            rows: None,
            alerts: Some(owned(&["{\"a\":2,\"z\":1}"])),
            dead_letters: Some(Vec::new()),
        };
        let changed =
            |expected: &Expected| write_expected(folder.path(), "first", expected).unwrap();
        assert_eq!(changed(&expected), [ROWS, ALERTS]);
        let alerts = fs::read_to_string(folder.path().join("first").join(ALERTS)).unwrap();
        assert_eq!(alerts, "{\"a\":2,\"z\":1}\n");
        assert!(!folder.path().join("first").join(ROWS).exists());
        assert_eq!(changed(&expected), [""; 0]);
        expected.dead_letters = None;
        assert_eq!(changed(&expected), [DEAD_LETTERS]);
    }
}
