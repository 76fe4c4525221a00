//! `plugin build`: a project becomes a component, with its golden cases inside.

use std::fs;
use std::time::Instant;

use anyhow::Result;
use audit_golden::Case;

use self::tools::say;
use super::project::Project;
use crate::cli::{BuildArgs, Lang};
use crate::commands::plugin::error::Error;
use crate::stdout::print;
use crate::{atomic_file, error, golden};

mod javascript;
mod python;
mod rust;

mod tools;

pub(crate) fn run(args: &BuildArgs) -> Result<()> {
    let begin = Instant::now();
    let project = Project::read(&args.dir)?;
    // Before what takes time: a mistake in them is reported at once.
    let (cases, unfinished) = cases(&project)?;
    for case in &unfinished {
        say(&format!("the golden case {} expects nothing yet: left out", case.name))?;
    }
    print(&format!("building {}, a {:?} in {:?}\n", project.name(), project.kind, project.lang))?;
    let mut component = match project.lang {
        Lang::Rust => rust::build(&project)?,
        Lang::Js => javascript::build(&project)?,
        Lang::Python => python::build(&project)?,
    };
    audit_golden::embed(&cases, &mut component)?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => project.target().join(format!("{}.wasm", project.name())),
    };
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).map_err(error::Error::file("creating the folder", folder))?;
    }
    // A host that watches the file must never see half of it.
    atomic_file::replace(&output, &component)
        .map_err(error::Error::file("writing the component", &output))?;
    print(&format!(
        "{}: {} KiB, golden cases: {}, built in {:.1} s\n",
        output.display(),
        component.len().div_ceil(1024),
        cases.len(),
        begin.elapsed().as_secs_f64(),
    ))
}

/// The finished cases of a project, and those that expect nothing yet.
fn cases(project: &Project) -> Result<(Vec<Case>, Vec<Case>), Error> {
    let failed = |cause| Error::GoldenCases { plugin: project.name().to_owned(), cause };
    let cases = audit_golden::read_folder(&project.golden).map_err(|e| failed(e.into()))?;
    let (unfinished, finished): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.expected.is_empty());
    // The host reads them before it lets the component judge: what it would reject is rejected here.
    audit_golden::to_json(&finished).map_err(|e| failed(e.into()))?;
    for case in &finished {
        golden::Case::try_from(case.clone()).map_err(failed)?;
    }
    Ok((finished, unfinished))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with one case of these files.
    fn read(files: &[(&str, &str)]) -> Result<(Vec<Case>, Vec<Case>), Error> {
        let dir = tempfile::tempdir().unwrap();
        let toml = "name = \"p\"\nlang = \"rust\"\nkind = \"transform\"\n";
        fs::write(dir.path().join("plugin.toml"), toml).unwrap();
        let case = dir.path().join("tests/golden/first");
        fs::create_dir_all(&case).unwrap();
        for (name, text) in files {
            fs::write(case.join(name), text).unwrap();
        }
        cases(&Project::read(dir.path()).unwrap())
    }

    #[test]
    fn unfinished_cases_are_left_out() {
        let (finished, unfinished) = read(&[("events.jsonl", "{}\n")]).unwrap();
        assert_eq!((finished.len(), unfinished[0].name.as_str()), (0, "first"));
        let (finished, _) = read(&[("events.jsonl", "{}\n"), ("rows.jsonl", "")]).unwrap();
        assert_eq!(finished.len(), 1);
    }

    #[test]
    fn what_the_host_would_reject_is_named() {
        let lookups = "{\"lookups\": {\"t\": {\"key\": \"k\"}}}";
        for (file, text, says) in [
            ("case.json", "{\"key\": 1}", "unknown key \"key\""),
            ("case.json", lookups, "t: neither a table"),
            ("rows.jsonl", "[1]\n", "rows.jsonl, line 1: a JSON object is expected"),
            ("config.json", "[]", "config.json: an object is expected"),
            ("events.jsonl", &"x".repeat(1 << 20), "at most 1048576"),
        ] {
            // The last one of a name is written last.
            let files = [("events.jsonl", ""), ("rows.jsonl", ""), (file, text)];
            let error = read(&files).unwrap_err();
            let said = audit_core::text::one_line(&error);
            assert!(said.contains(says), "{said}");
        }
    }
}
