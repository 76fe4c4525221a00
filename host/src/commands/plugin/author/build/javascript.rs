//! JavaScript: componentize-js puts the sources and an engine into a component.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::tools::{finish, output, say};
use crate::commands::plugin::author::project::Project;
use crate::config::Error;
use crate::error;

/// The oldest version that componentize-js runs on.
const NODE_VERSION_MIN: u32 = 20;
const INSTALL: &str = "Node.js 20 or later with npm (Debian: apt-get install nodejs npm)";
const COMPONENTIZE: &str = "node_modules/@bytecodealliance/componentize-js/src/cli.js";
/// What the engine could import from WASI and a plugin does not need. Without all of it the component
/// imports only what `wit/` has.
const DISABLED: [&str; 5] = ["stdio", "random", "clocks", "http", "fetch-event"];

pub(super) fn build(project: &Project) -> Result<Vec<u8>> {
    let missing =
        |tool| Error::MissingTool { plugin: project.name().to_owned(), tool, install: INSTALL };
    let version = output(Command::new("node").arg("--version"));
    if version.as_deref().and_then(major).is_none_or(|major| major < NODE_VERSION_MIN) {
        return Err(missing("Node.js (`node`) of version 20 or later").into());
    }
    install(project, || missing("`npm`"))?;
    let target = project.target();
    fs::create_dir_all(&target).map_err(error::Error::file("creating the folder", &target))?;
    let module = target.join("module.wasm");
    let mut node = Command::new("node");
    node.current_dir(&project.dir).args([COMPONENTIZE, "src/main.js"]);
    node.args(["--wit", "wit", "--world-name", "plugin", "--out", "target/module.wasm"]);
    // Its name gets into the component; `forget` removes it with the project's.
    node.env("TMPDIR", project.target());
    finish(project, node.arg("--disable").args(DISABLED))?;
    let mut component = fs::read(&module).map_err(error::Error::file("reading", &module))?;
    fs::remove_file(&module).map_err(error::Error::file("removing", &module))?;
    forget(&mut component, project.dir.as_os_str().as_encoded_bytes());
    Ok(component)
}

/// Overwrites every mention of a folder with dashes. componentize-js keeps its own command line in the
/// memory of the engine, where only its start-up, which is over, would read it.
fn forget(component: &mut [u8], folder: &[u8]) {
    let mut from = 0;
    if folder.is_empty() {
        return;
    }
    while let Some(rest) = component.get_mut(from..) {
        let found = rest.windows(folder.len()).position(|window| window == folder);
        let Some(at) = found else { return };
        if let Some(mention) = rest.get_mut(at..at + folder.len()) {
            mention.fill(b'-');
        }
        from += at + folder.len();
    }
}

/// Fetches the packages of `package.json` unless that was done for the same text.
fn install(project: &Project, missing: impl Fn() -> Error) -> Result<()> {
    let manifest = project.dir.join("package.json");
    let wanted = fs::read_to_string(&manifest);
    let wanted = wanted.map_err(error::Error::file("reading", &manifest))?;
    let stamp = project.dir.join("node_modules/.audit-host-installed");
    let is_there = project.dir.join(COMPONENTIZE).is_file();
    if is_there && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if output(Command::new("npm").arg("--version")).is_none() {
        return Err(missing().into());
    }
    say("fetching componentize-js and what it needs into node_modules, once")?;
    let mut npm = Command::new("npm");
    npm.current_dir(&project.dir).arg("install");
    finish(project, npm.args(["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    Ok(fs::write(&stamp, wanted).map_err(error::Error::file("writing", &stamp))?)
}

/// The major version out of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mention_of_a_folder_is_overwritten() {
        let mut bytes = *b"/a/b/c x /a/b y";
        forget(&mut bytes, b"/a/b");
        assert_eq!(&bytes, b"----/c x ---- y");
        forget(&mut bytes, b"");
        assert_eq!(&bytes, b"----/c x ---- y");
    }

    #[test]
    fn versions_are_read() {
        let cases = [("v20.20.2", Some(20)), ("v8.0.0", Some(8)), ("20", None), ("", None)];
        for (text, expected) in cases {
            assert_eq!(major(text), expected, "{text}");
        }
    }
}
