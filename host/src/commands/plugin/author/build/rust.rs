//! Rust: cargo builds a module, which becomes a component.

use anyhow::Result;
use audit_toolchain::{Build, Error as ToolchainError, Search};

use super::tools::{finish, say};
use crate::commands::plugin::author::project::Project;
use crate::config::Error;

pub(super) fn build(project: &Project) -> Result<Vec<u8>> {
    let target = project.target();
    let search = Search { dir: &project.dir, cache: &target, wanted: None };
    // If standard output is closed, a later line reports it.
    let found = search.find(&mut |text| drop(say(text)));
    let toolchain = match found {
        Ok(toolchain) => toolchain,
        Err(cause @ (ToolchainError::NoToolchain { .. } | ToolchainError::NoCargo)) => {
            return Err(Error::Toolchain { plugin: project.name().to_owned(), cause }.into());
        }
        Err(error) => return Err(error.into()),
    };
    say(toolchain.about())?;
    let build =
        Build { toolchain: &toolchain, dir: &project.dir, root: &project.dir, target: &target };
    finish(project, &mut build.command(&[])?)?;
    Ok(build.component(project.name())?)
}
