//! `plugin build`: a project becomes a component, with its golden cases inside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::golden::Golden;
use super::project::Project;
use crate::cli::{BuildArgs, Lang};
use crate::commands::print;

mod javascript;
mod python;
mod rust;

pub(crate) fn run(args: &BuildArgs) -> Result<()> {
    let begin = Instant::now();
    let project = Project::read(&args.dir)?;
    // Before what takes time: a mistake in them shows at once.
    let golden = Golden::read(&project.golden)?;
    for case in &golden.unfinished {
        say(&format!("the golden case {case} has no files of what is expected: left out"))?;
    }
    print(&format!("building {}, a {:?} in {:?}\n", project.name(), project.kind, project.lang))?;
    let mut component = match project.lang {
        Lang::Rust => rust::build(&project)?,
        Lang::Js => javascript::build(&project)?,
        Lang::Python => python::build(&project)?,
    };
    golden.embed(&mut component);
    let output = match &args.output {
        Some(output) => output.clone(),
        None => project.target().join(format!("{}.wasm", project.name())),
    };
    write(&output, &component)?;
    print(&format!(
        "{}: {} KiB, golden cases: {}, built in {:.1} s\n",
        output.display(),
        component.len().div_ceil(1024),
        golden.n_cases,
        begin.elapsed().as_secs_f64(),
    ))
}

/// Says what is being done: it may take a while.
fn say(text: &str) -> Result<()> {
    print(&format!("  {text}\n"))
}

/// Runs a tool to its end. What it prints goes to standard error, before the one line by which we say
/// that it failed.
fn finish(project: &Project, command: &mut Command) -> Result<()> {
    let line = shown(command);
    say(&line)?;
    command.stdin(Stdio::null()).stdout(io::stderr());
    let building = || format!("building {}: `{line}`", project.name());
    let status = command.status().with_context(building)?;
    if !status.success() {
        bail!(
            "building {}: `{line}` ended with {status}; its messages stand above",
            project.name()
        );
    }
    Ok(())
}

/// The command as one would type it in the project's folder.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// What a program prints; none where it is not there or does not succeed.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// A host that watches the file must never see half of it.
fn write(output: &Path, component: &[u8]) -> Result<()> {
    let writing = || format!("writing the component {}", output.display());
    let mut new = output.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).with_context(writing)?;
    }
    fs::write(&new, component).with_context(writing)?;
    fs::rename(&new, output).with_context(writing)
}
