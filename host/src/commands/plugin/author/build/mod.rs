//! `plugin build`: a project becomes a component, with its golden cases inside.

use std::fs;
use std::time::Instant;

use anyhow::Result;
use audit_golden::Case;

use self::tools::say;
use super::project::Project;
use super::sources;
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
    let sources = sources::digest(&project)?;
    if args.output.is_none() {
        sources::begin(&project)?;
    }
    let mut component = code(&project, &sources)?;
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
    if args.output.is_none() {
        sources::finish(&project, &sources)?;
    }
    print(&format!(
        "{}: {} KiB, golden cases: {}, built in {:.1} s\n",
        output.display(),
        component.len().div_ceil(1024),
        cases.len(),
        begin.elapsed().as_secs_f64(),
    ))
}

/// The component without golden cases. cargo knows by itself what changed; the other tools would begin anew.
fn code(project: &Project, sources: &str) -> Result<Vec<u8>> {
    let build = match project.lang {
        Lang::Rust => return rust::build(project),
        Lang::Js => javascript::build,
        Lang::Python => python::build,
    };
    if let Some(code) = sources::kept(project, sources) {
        say("the sources are those of the last build: nothing to compile")?;
        return Ok(code);
    }
    let code = build(project)?;
    // Sources that were changed meanwhile may be in it or not.
    if sources::digest(project)? == sources {
        sources::keep(project, sources, &code)?;
    }
    Ok(code)
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
