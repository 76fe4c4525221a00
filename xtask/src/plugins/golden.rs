//! Golden cases of our own plugins: `plugins/NAME/golden/CASE/`, in the files that `docs/plugin-testing.md`
//! describes. They are embedded in the component, as `plugin build` does it, so that the host runs them before
//! a new version is swapped in; and `cargo xtask test` has the program run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use audit_golden::{Case, EVENTS};

use crate::context::Context;
use crate::run;

/// Puts the cases of a folder into a component. Without any the component stays as it is.
pub(super) fn embed(folder: &Path, component: &mut Vec<u8>) -> Result<usize> {
    let (unfinished, finished): (Vec<_>, Vec<_>) =
        cases(folder)?.into_iter().partition(|case| case.expected.is_empty());
    for case in unfinished {
        let dir = folder.join(case.name);
        println!("  the golden case {} expects nothing yet: left out", dir.display());
    }
    audit_golden::embed(&finished, component)?;
    Ok(finished.len())
}

/// Has the program run the cases of every built component. One without cases fails, and so does a case that
/// expects nothing: a new plugin comes with what shows that it works.
pub(crate) fn check(ctx: &Context) -> Result<()> {
    for plugin in entries(&ctx.root.join("plugins"))? {
        let folder = plugin.join("golden");
        for case in cases(&folder)? {
            ensure!(
                !case.expected.is_empty(),
                "the golden case {} expects nothing: `audit-host plugin test FILE --cases {} --update`",
                folder.join(case.name).display(),
                folder.display()
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

/// The cases of a folder. In ours every folder is a case, so one without events is a mistake.
fn cases(folder: &Path) -> Result<Vec<Case>> {
    if folder.exists() {
        for dir in entries(folder)?.iter().filter(|path| path.is_dir()) {
            ensure!(
                dir.join(EVENTS).is_file(),
                "the golden case {} has no {EVENTS}",
                dir.display()
            );
        }
    }
    Ok(audit_golden::read_folder(folder)?)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
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
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
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
        assert_eq!(n_cases, 1);
        let cases = audit_golden::embedded(&component).unwrap();
        let case = &cases[0];
        assert_eq!((case.name.as_str(), case.clock), ("first", Some(7)));
        assert_eq!(case.config, "{\"keep\": 2}");
        assert_eq!(case.events, [b"{\"n\": 1.10}".as_slice(), b"no \"event\""]);
    }

    #[test]
    fn an_unfinished_case_is_left_out_and_a_wrong_one_is_named() {
        let (n_cases, component) = embedded("none", &[("events.jsonl", "{}")]).unwrap();
        assert_eq!((n_cases, component.len()), (0, 8));
        let error = embedded("payloads", &[("rows.jsonl", "")]).unwrap_err();
        assert!(format!("{error:#}").contains("first has no events.jsonl"), "{error:#}");
        let error = embedded("text", &[("events.jsonl", ""), ("rows.jsonl", "no")]).unwrap_err();
        assert!(format!("{error:#}").contains("rows.jsonl"), "{error:#}");
        let mut component = Vec::new();
        assert_eq!(embed(Path::new("no/such/folder"), &mut component).unwrap(), 0);
        assert!(component.is_empty());
    }
}
