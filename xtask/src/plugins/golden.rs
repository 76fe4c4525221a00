//! Golden cases of our own plugins: `plugins/NAME/golden/CASE/`, in the files that `docs/plugin-testing.md`
//! describes. They travel inside the component, as those that `plugin build` puts there do, so that the
//! host runs them before a new version takes over; and `cargo xtask test` runs them by the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use audit_toolchain::append_custom;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::run;

/// The custom section: a JSON array of cases.
const SECTION: &str = "audit-host:golden";

/// The files of what is expected, and their keys in the section.
const EXPECTED: [(&str, &str); 3] =
    [("rows", "rows.jsonl"), ("alerts", "alerts.jsonl"), ("dead_letters", "dead_letters.jsonl")];

/// Puts the cases of a folder into a component. Without any the component stays as it is.
pub(super) fn embed(folder: &Path, component: &mut Vec<u8>) -> Result<usize> {
    let mut cases = Vec::new();
    for dir in folders(folder)? {
        match case(&dir)? {
            Some(case) => cases.push(case),
            None => println!("  the golden case {} expects nothing yet: left out", dir.display()),
        }
    }
    let n_cases = cases.len();
    if n_cases > 0 {
        append_custom(component, SECTION, Value::Array(cases).to_string().as_bytes());
    }
    Ok(n_cases)
}

/// Runs the cases of every built component by the program. One without cases fails, and so does a case
/// that expects nothing: whoever adds a plugin adds what shows that it works.
pub(crate) fn check(ctx: &Context) -> Result<()> {
    for plugin in entries(&ctx.root.join("plugins"))? {
        for dir in folders(&plugin.join("golden"))? {
            let is_finished = case(&dir)?.is_some();
            ensure!(
                is_finished,
                "the golden case {} expects nothing: `audit-host plugin test FILE --cases {} --update`",
                dir.display(),
                plugin.join("golden").display()
            );
        }
    }
    for component in components(&ctx.plugins())? {
        run::run(Command::new(ctx.host_binary()).args(["plugin", "test"]).arg(&component))?;
    }
    Ok(())
}

fn components(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(folder)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    ensure!(!found.is_empty(), "no component in {}", folder.display());
    Ok(found)
}

/// The folders of the cases, by name.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = if folder.exists() { entries(folder)? } else { Vec::new() };
    found.retain(|path| path.is_dir());
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// One case as the section holds it. `None` without any file of what is expected.
fn case(dir: &Path) -> Result<Option<Value>> {
    read(dir).with_context(|| format!("the golden case {}", dir.display()))
}

fn read(dir: &Path) -> Result<Option<Value>> {
    let mut case = match optional(dir, "case.json")? {
        Some(text) => serde_json::from_str(&text).context("case.json")?,
        None => Map::new(),
    };
    let name = dir.file_name().context("a case without a name")?.to_string_lossy();
    case.insert("name".to_owned(), Value::from(name));
    if let Some(text) = optional(dir, "config.json")? {
        case.insert("config".to_owned(), serde_json::from_str(&text).context("config.json")?);
    }
    let events = optional(dir, "events.jsonl")?.context("no events.jsonl")?;
    // A payload keeps its text: what is no JSON is a case as well.
    let events: Vec<Value> = lines(&events).map(Value::from).collect();
    case.insert("events".to_owned(), Value::Array(events));
    let mut is_finished = false;
    for (key, file) in EXPECTED {
        let text = optional(dir, file)?;
        is_finished |= text.is_some();
        let text = text.unwrap_or_default();
        let objects = lines(&text).map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
        case.insert(key.to_owned(), Value::Array(objects.context(file)?));
    }
    Ok(is_finished.then_some(Value::Object(case)))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn optional(dir: &Path, file: &str) -> Result<Option<String>> {
    let path = dir.join(file);
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path);
    text.map(Some).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one case of these files, embedded into a component without any sections.
    fn embedded(name: &str, files: &[(&str, &str)]) -> Result<(usize, Vec<u8>)> {
        let folder =
            std::env::temp_dir().join(format!("xtask-golden-{}-{name}", std::process::id()));
        let dir = folder.join("first");
        fs::create_dir_all(&dir)?;
        for (file, text) in files {
            fs::write(dir.join(file), text)?;
        }
        let mut component = Vec::new();
        let n_cases = embed(&folder, &mut component);
        fs::remove_dir_all(&folder)?;
        Ok((n_cases?, component))
    }

    #[test]
    fn a_case_travels_with_all_of_its_files() {
        let files = [
            ("events.jsonl", "{\"n\": 1.10}\n\nno \"event\"\n"),
            ("case.json", "{\"clock\": 7}"),
            ("config.json", "{\"keep\": 2}"),
            ("alerts.jsonl", ""),
        ];
        let (n_cases, component) = embedded("all", &files).unwrap();
        let expected = r#"[{"alerts":[],"clock":7,"config":{"keep":2},"dead_letters":[],"events":["{\"n\": 1.10}","no \"event\""],"name":"first","rows":[]}]"#;
        assert_eq!(n_cases, 1);
        assert!(
            component.ends_with(expected.as_bytes()),
            "{}",
            String::from_utf8_lossy(&component)
        );
    }

    #[test]
    fn an_unfinished_case_is_left_out_and_a_wrong_one_is_named() {
        let (n_cases, component) = embedded("none", &[("events.jsonl", "{}")]).unwrap();
        assert_eq!((n_cases, component.len()), (0, 0));
        let error = embedded("payloads", &[("rows.jsonl", "")]).unwrap_err();
        assert!(format!("{error:#}").contains("first: no events.jsonl"), "{error:#}");
        let error = embedded("text", &[("events.jsonl", ""), ("rows.jsonl", "no")]).unwrap_err();
        assert!(format!("{error:#}").contains("rows.jsonl"), "{error:#}");
        let mut component = Vec::new();
        assert_eq!(embed(Path::new("no/such/folder"), &mut component).unwrap(), 0);
        assert!(component.is_empty());
    }
}
