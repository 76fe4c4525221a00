//! Running the tools of a build.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::commands::plugin::author::project::Project;
use crate::commands::plugin::error::Error;
use crate::stdout::print;

/// Prints what is being done, which may take a while.
pub(super) fn say(text: &str) -> Result<()> {
    print(&format!("  {text}\n"))
}

/// Runs a tool to its end. What it prints goes to standard error, before the line that reports its failure.
pub(super) fn finish(project: &Project, command: &mut Command) -> Result<()> {
    let line = shown(command);
    say(&line)?;
    command.stdin(Stdio::null()).stdout(io::stderr());
    let plugin = project.name().to_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::ToolFailed { plugin, line, status }.into()),
        Err(cause) => Err(Error::ToolStart { plugin, line, cause }.into()),
    }
}

/// The output of a program; none where it is missing or fails.
pub(super) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// The command as one would type it in the project's folder.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
