//! `audit-host plugin test`: golden cases, as `docs/plugin-testing.md` promises them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use audit_chain::{Engine, PluginSource};
use audit_core::text::one_line;

use super::project::Project;
use super::text::{clean, count};
use super::{plugin_args, sources};
use crate::cli::TestArgs;
use crate::commands::plugin::error::Error;
use crate::config;
use crate::golden::{self, Case, Mismatch};
use crate::stdout::print;

pub(crate) fn run(args: &TestArgs) -> Result<()> {
    let subject = Subject::find(args)?;
    let engine = plugin_args::engine()?;
    // A file that is not a component is reported once, not for every case.
    let (source, sha256) = (&subject.source, subject.source.sha256());
    engine.interfaces(&source.name, &source.component, &sha256).map_err(|cause| {
        let file = source.name.clone();
        Error::NotAPlugin { attempted: "testing", file, cause }
    })?;
    let mut failed = 0;
    for case in &subject.cases {
        let (line, is_failed) = subject.run(&engine, case, args.update);
        failed += usize::from(is_failed);
        print(&line)?;
    }
    print(&format!("{} passed, {failed} failed\n", subject.cases.len() - failed))?;
    if failed > 0 {
        let (file, failed) = (source.name.clone(), count(failed, "golden case"));
        return Err(Error::CasesFailed { file, failed }.into());
    }
    Ok(())
}

/// A component and its cases.
struct Subject {
    source: PluginSource,
    cases: Vec<Case>,
    /// Where the cases are folders.
    folder: Option<PathBuf>,
}

impl Subject {
    fn find(args: &TestArgs) -> Result<Self> {
        let path = Path::new(&args.path);
        let mut subject =
            if path.is_dir() { Self::of_project(path, args)? } else { Self::of_file(args)? };
        let place = match &subject.folder {
            Some(folder) => folder.display().to_string(),
            None => format!("the component {}", subject.source.name),
        };
        if subject.cases.is_empty() {
            return Err(Error::NoCases { place }.into());
        }
        if let Some(only) = &args.only {
            let names: Vec<_> = subject.cases.iter().map(|case| clean(&case.name)).collect();
            subject.cases.retain(|case| case.name.contains(only));
            if subject.cases.is_empty() {
                let (only, known) = (only.clone(), names.join(", "));
                return Err(Error::NoSuchCase { place, only, known }.into());
            }
        }
        Ok(subject)
    }

    fn of_project(dir: &Path, args: &TestArgs) -> Result<Self> {
        let project = Project::read(dir)?;
        let component = if let Some(component) = &args.component {
            component.clone()
        } else {
            sources::check_built(&project)?;
            component_of(&project)?
        };
        let folder = match &args.cases {
            Some(folder) => folder.clone(),
            None => project.golden,
        };
        let (source, cases) = (plugin_args::component(&component)?, golden::read_folder(&folder)?);
        Ok(Self { source, cases, folder: Some(folder) })
    }

    fn of_file(args: &TestArgs) -> Result<Self> {
        if args.component.is_some() {
            return Err(wrong("--component", &args.path, "is a component already").into());
        }
        let source = plugin_args::component(&args.path)?;
        let folder = args.cases.clone();
        if folder.is_none() && args.update {
            let problem =
                "carries its cases, which are not files: give the project, or --cases DIR";
            return Err(wrong("--update", &args.path, problem).into());
        }
        let cases = match &folder {
            Some(folder) => golden::read_folder(folder)?,
            None => golden::embedded(&source.component)?,
        };
        Ok(Self { source, cases, folder })
    }

    /// Runs a case. Returns what to print, and whether it failed.
    fn run(&self, engine: &Engine, case: &Case, update: bool) -> (String, bool) {
        let began = Instant::now();
        let name = clean(&case.name);
        let failed = |why: &str| {
            let why: Vec<_> = why.lines().map(|line| format!("  {}\n", clean(line))).collect();
            (format!("FAIL  {name}\n{}", why.concat()), true)
        };
        let outcome = match golden::run(engine, &self.source, case) {
            Ok(outcome) => outcome,
            Err(error) => return failed(&one_line(&error)),
        };
        let mut case = case.clone();
        let mut written = String::new();
        if let (true, Some(folder)) = (update, &self.folder) {
            match golden::update(folder, &case.name, &outcome) {
                Ok(files) if files.is_empty() => {}
                Ok(files) => written = format!(", wrote {}", files.join(", ")),
                Err(error) => return failed(&one_line(&error)),
            }
            case.expected = outcome.as_expected();
        }
        let mut mismatches = golden::compare(&case, &outcome);
        if mismatches.is_empty() {
            match golden::vary(engine, &self.source, &case, &outcome) {
                Ok(found) => mismatches = found,
                Err(error) => return failed(&one_line(&error)),
            }
        }
        if mismatches.is_empty() {
            let time = began.elapsed().as_millis();
            return (format!("ok    {name} ({time} ms{written})\n"), false);
        }
        failed(&shown(&mismatches))
    }
}

fn shown(mismatches: &[Mismatch]) -> String {
    let shown: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

/// Where `plugin build` puts the component, or beside the project's file.
fn component_of(project: &Project) -> Result<String, config::Error> {
    let file = format!("{}.wasm", project.name());
    let places = [project.target().join(&file), project.dir.join(&file)];
    let found = places.iter().find(|place| place.is_file());
    let found = found.map(|place| place.display().to_string());
    found.ok_or_else(|| {
        let problem = format!(
            "has no component {}: run `audit-host plugin build`, or give --component",
            places.map(|place| place.display().to_string()).join(" or ")
        );
        wrong("PATH", &project.dir.display().to_string(), &problem)
    })
}

fn wrong(key: &str, value: &str, problem: &str) -> config::Error {
    config::Error::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::LogArgs;

    const EVENT: &str = r#"{"event_timestamp":"2025-01-16T08:00:00Z","action_type":"x","user_email":"alice@example.com"}"#;

    fn args(path: &Path) -> TestArgs {
        TestArgs {
            log: LogArgs::default(),
            path: path.display().to_string(),
            component: None,
            cases: None,
            only: None,
            update: false,
        }
    }

    /// A project whose component is a built-in plugin, with one case.
    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("tests/golden/first");
        fs::create_dir_all(&case).unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        let toml = "name = \"redact_pii\"\nlang = \"rust\"\nkind = \"transform\"\n";
        fs::write(dir.path().join("plugin.toml"), toml).unwrap();
        let component = golden::tests::without_cases("redact_pii");
        fs::write(dir.path().join("target/redact_pii.wasm"), component).unwrap();
        fs::write(case.join("events.jsonl"), format!("{EVENT}\nno json\n")).unwrap();
        dir
    }

    fn said(result: Result<()>) -> String {
        result.err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_project_fails_until_its_expectations_are_written() {
        let dir = project();
        let mut args = args(dir.path());
        assert!(said(run(&args)).ends_with("1 golden case failed"));
        let line = |args: &TestArgs| {
            let subject = Subject::find(args).unwrap();
            subject.run(&Engine::new().unwrap(), &subject.cases[0], args.update)
        };
        let (text, is_failed) = line(&args);
        assert!(is_failed && text.starts_with("FAIL  first\n  there is no rows.jsonl"), "{text}");
        assert!(text.contains("    + {") && text.contains("--update"), "{text}");

        args.update = true;
        let (text, is_failed) = line(&args);
        assert!(!is_failed && text.ends_with("wrote rows.jsonl, dead_letters.jsonl)\n"), "{text}");
        args.update = false;
        run(&args).unwrap();
        let rows = fs::read_to_string(dir.path().join("tests/golden/first/rows.jsonl")).unwrap();
        assert!(rows.starts_with('{') && rows.contains("\"offset\":0,"), "{rows}");
        assert!(rows.contains("\"user_email\":\"a***@example.com\""), "{rows}");

        let wrong = rows.replace("a***@", "b***@");
        fs::write(dir.path().join("tests/golden/first/rows.jsonl"), wrong).unwrap();
        let (text, is_failed) = line(&args);
        assert!(is_failed && text.contains("differs in: user_email"), "{text}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = project();
        let file = dir.path().join("target/redact_pii.wasm");
        assert!(said(run(&args(&file))).contains("there are none"));
        assert!(said(run(&TestArgs { update: true, ..args(&file) })).contains("--cases DIR"));
        let only = TestArgs { only: Some("second".to_owned()), ..args(dir.path()) };
        assert!(said(run(&only)).contains("\"second\" in its name; available: first"));
        let component = TestArgs { component: Some("x.wasm".to_owned()), ..args(&file) };
        assert!(said(run(&component)).contains("is a component already"));
        fs::remove_file(&file).unwrap();
        assert!(said(run(&args(dir.path()))).contains("run `audit-host plugin build`"));
        fs::write(
            dir.path().join("plugin.toml"),
            "name = \"../x\"\nlang = \"rust\"\nkind = \"transform\"",
        )
        .unwrap();
        assert!(said(run(&args(dir.path()))).contains("is not a plugin name"));
        fs::remove_file(dir.path().join("plugin.toml")).unwrap();
        assert!(said(run(&args(dir.path()))).contains("no plugin.toml in"));
        assert!(said(run(&args(Path::new("/no/such/file")))).contains("cannot be read"));
    }

    #[test]
    fn cases_of_a_folder_run_against_any_component() {
        let dir = project();
        let given = TestArgs {
            path: "builtin:redact_pii".to_owned(),
            cases: Some(dir.path().join("tests/golden")),
            update: true,
            ..args(dir.path())
        };
        run(&given).unwrap();
        run(&TestArgs { update: false, ..given }).unwrap();
    }
}
