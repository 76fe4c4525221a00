//! What the commands for authors find in a project, in JavaScript and Python: their components carry an engine,
//! so whatever is compiled twice is waited for twice.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use audit_tests::env;
use audit_tests::program::{Ended, Program};

use super::LIMIT;

/// A detector as `plugin new` makes it, and a cache of compiled code of its own.
struct Project {
    dir: PathBuf,
    name: String,
    source: &'static str,
}

impl Project {
    fn new(lang: &str, source: &'static str) -> Result<Self> {
        let name = format!("{lang}_author");
        let dir = env::folder(&format!("author-project-{lang}"))?;
        let make = ["plugin", "new", &name, "--lang", lang, "--kind", "detector"];
        Program::new(&dir, &make).succeed()?;
        Ok(Self { dir, name, source })
    }

    /// `audit-host plugin …` in the project.
    fn plugin(&self, args: &[&str]) -> Result<Ended> {
        let folder = self.dir.join(&self.name);
        let cache = self.dir.join("compiled").display().to_string();
        let program = Program::new(&folder, &["plugin"]).args(args);
        program.env("AUDIT_HOST_PLUGIN_CACHE", &cache).start()?.wait(LIMIT)
    }

    /// Replaces texts of the source, each of which must be there once.
    fn edit(&self, changes: &[(&str, &str)]) -> Result<()> {
        let path = self.dir.join(&self.name).join(self.source);
        let mut text = fs::read_to_string(&path)?;
        for (from, to) in changes {
            ensure!(text.matches(from).count() == 1, "{from:?} is not once in {}", path.display());
            text = text.replace(from, to);
        }
        Ok(fs::write(&path, text)?)
    }

    fn source(&self) -> Result<String> {
        Ok(fs::read_to_string(self.dir.join(&self.name).join(self.source))?)
    }

    fn restore(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.dir.join(&self.name).join(self.source), text)?)
    }

    /// Builds, and keeps the component under another name.
    fn version(&self, name: &str) -> Result<String> {
        self.plugin(&["build"])?.success()?;
        let built = self.dir.join(&self.name).join(format!("target/{}.wasm", self.name));
        let kept = self.dir.join(name);
        fs::copy(&built, &kept).with_context(|| built.display().to_string())?;
        Ok(kept.display().to_string())
    }

    fn n_compiled(&self) -> Result<usize> {
        Ok(fs::read_dir(self.dir.join("compiled"))?.count())
    }
}

/// A command that fails, with these words on standard output or in its error.
fn fails(ended: &Ended, words: &[&str]) -> Result<()> {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(ended.code() == Some(1), "{}: {said}", ended.status);
    for word in words {
        ensure!(said.contains(word), "no {word:?}: {said}");
    }
    Ok(())
}

/// The versions of the state: the second is another format, and reads the first.
struct Versions {
    second: &'static [(&'static str, &'static str)],
    /// What makes the second one forget the state of the first. One language is enough: it is the host that finds it.
    forget: Option<(&'static str, &'static str)>,
    /// What is no source.
    broken: &'static str,
}

/// Another golden case: neither the tools of the language nor the engine compile again.
fn a_golden_case_compiles_nothing(project: &Project) -> Result<()> {
    project.plugin(&["test"])?.success()?;
    ensure!(project.n_compiled()? == 1, "{} compiled components", project.n_compiled()?);
    let cases = project.dir.join(&project.name).join("tests/golden");
    fs::create_dir(cases.join("again"))?;
    for file in ["events.jsonl", "config.json", "alerts.jsonl", "dead_letters.jsonl"] {
        fs::copy(cases.join("four-in-a-window").join(file), cases.join("again").join(file))?;
    }
    let said = project.plugin(&["build"])?.success()?.stdout;
    ensure!(said.contains("nothing to compile") && said.contains("golden cases: 2"), "{said}");
    let component = format!("target/{}.wasm", project.name);
    let said = project.plugin(&["check", &component])?.success()?.stdout;
    ensure!(said.contains("2 golden cases passed"), "{said}");
    for command in [&["inspect", &component][..], &["bench", &component, "--rows", "512"]] {
        project.plugin(command)?.success()?;
    }
    ensure!(project.n_compiled()? == 1, "{} compiled components", project.n_compiled()?);
    Ok(())
}

/// A failed build leaves an old component, which is not tested as if it were the new one.
fn a_stale_component_is_not_tested(project: &Project, broken: &str) -> Result<()> {
    let source = project.source()?;
    project.restore(&format!("{source}{broken}"))?;
    fails(&project.plugin(&["test"])?, &["its sources have changed"])?;
    fails(&project.plugin(&["build"])?, &["ended with"])?;
    fails(&project.plugin(&["test"])?, &["the last build of", "failed"])?;
    project.restore(&source)?;
    project.plugin(&["build"])?.success()?;
    project.plugin(&["test"])?.success()?;
    Ok(())
}

/// The version of a state reaches `restore`, which reads the older format, or forgets it.
fn an_upgrade_is_proved(project: &Project, first: &str, versions: &Versions) -> Result<()> {
    project.edit(versions.second)?;
    let second = project.version("second.wasm")?;
    let replaces = ["check", &second, "--replaces", first];
    project.plugin(&[&replaces[..], &["--one-way"]].concat())?.success()?;
    fails(&project.plugin(&replaces)?, &["no way back", "does not support state version 2"])?;
    let Some(forget) = versions.forget else { return Ok(()) };
    project.edit(&[forget])?;
    let forgets = project.version("forgets.wasm")?;
    let ended = project.plugin(&["check", &forgets, "--replaces", first, "--one-way"])?;
    fails(
        &ended,
        &["takes the state of the version before and finds something else", "many-events"],
    )
}

/// All of this with a new project, which is then as it was made.
fn check(lang: &str, source: &'static str, versions: &Versions) -> Result<Project> {
    let project = Project::new(lang, source)?;
    let first = project.version("first.wasm")?;
    let source = project.source()?;
    a_golden_case_compiles_nothing(&project)?;
    a_stale_component_is_not_tested(&project, versions.broken)?;
    an_upgrade_is_proved(&project, &first, versions)?;
    project.restore(&source)?;
    Ok(project)
}

#[test]
fn what_a_run_would_find_is_found_before_it_in_javascript() -> Result<()> {
    let versions = Versions {
        second: &[
            ("stateVersion: 1", "stateVersion: 2"),
            ("users: users.map(", "tallies: users.map("),
            (
                "restore({ window, users }, version) {",
                "restore({ window, users, tallies }, version) {",
            ),
            (
                "if (version !== Plugin.description.stateVersion) throw new StateError('unsupported-version');",
                "if (version > 2) throw new StateError('unsupported-version');\n    \
                 users = version === 1 ? users : tallies;",
            ),
        ],
        forget: None,
        broken: "}}}",
    };
    let project = check("js", "src/plugin.js", &versions)?;
    // A row that is not there is quarantined, in batches of more than one: cutting it up hides it.
    let breach =
        "return { alerts, quarantined: batch.rows > 1 ? [{ row: batch.rows, reason: 'x' }] : [] };";
    project.edit(&[("return { alerts };", breach)])?;
    let breaks = project.version("breaks.wasm")?;
    fails(&project.plugin(&["test"])?, &["it broke the contract", "quarantined of"])?;
    fails(&project.plugin(&["check", &breaks])?, &["it broke the contract"])?;
    // Halved, or given up where halving takes too long.
    fails(&project.plugin(&["bench", &breaks, "--rows", "512"])?, &["quarantined of"])?;
    // A misspelled field is not lost without a word.
    project.edit(&[(breach, "return { alert: alerts };")])?;
    project.version("misspelled.wasm")?;
    fails(&project.plugin(&["test"])?, &["has the unknown field", "plugin-fault"])
}

#[test]
fn what_a_run_would_find_is_found_before_it_in_python() -> Result<()> {
    let versions = Versions {
        second: &[
            ("state_version=1", "state_version=2"),
            ("\"users\": {user: asdict", "\"tallies\": {user: asdict"),
            (
                "if version != self.DESCRIPTION.state_version:",
                "state[\"users\"] = state[\"users\"] if version == 1 else state[\"tallies\"]\n        if version > 2:",
            ),
        ],
        forget: Some(("state[\"users\"] if version == 1", "{} if version == 1")),
        broken: "\n)",
    };
    let project = check("python", "src/plugin.py", &versions)?;
    // A restored state loses the first event of each user.
    project.edit(&[(
        "            users[user] = Tally(**numbers, ",
        "            numbers[\"first\"] = numbers[\"last\"]\n                users[user] = Tally(**numbers, ",
    )])?;
    project.version("loses.wasm")?;
    let words =
        ["a restart after event 3 of 5", "(- without, + with it)", "differs in: first_event"];
    fails(&project.plugin(&["test"])?, &words)
}
