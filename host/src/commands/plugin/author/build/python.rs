//! Python: componentize-py puts the sources and an interpreter into a component.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::tools::{finish, output, say};
use crate::commands::plugin::author::project::Project;
use crate::config::Error;
use crate::error;

const INSTALL: &str =
    "Python 3.10 or later with venv (Debian: apt-get install python3 python3-venv)";
/// Prints the version if everything is installed.
const CHECK: &str =
    "import sys, venv, ensurepip; print(sys.version); sys.exit(sys.version_info < (3, 10))";

pub(super) fn build(project: &Project) -> Result<Vec<u8>> {
    let venv = project.target().join("venv");
    install(project)?;
    let module = project.target().join("module.wasm");
    let mut componentize = Command::new(venv.join("bin/componentize-py"));
    componentize.current_dir(&project.dir);
    // Packages of pure Python in the environment come along where the sources import them.
    componentize.env("VIRTUAL_ENV", &venv);
    // Bytecode of other builds would lie among the sources.
    componentize.env("PYTHONDONTWRITEBYTECODE", "1");
    componentize.args(["--quiet", "--wit-path", "wit", "--world", "plugin", "componentize"]);
    // The interpreter's use of WASI becomes traps, so that the component imports nothing but what `wit/`
    // says. Hashes are seeded at build time: the same component iterates over sets alike everywhere.
    componentize.args(["--stub-wasi", "--python-path", "src", "--output", "target/module.wasm"]);
    finish(project, componentize.arg("main"))?;
    let component = fs::read(&module).map_err(error::Error::file("reading", &module))?;
    fs::remove_file(&module).map_err(error::Error::file("removing", &module))?;
    Ok(component)
}

/// Creates the environment of `requirements.txt` unless that was done for the same text and interpreter.
fn install(project: &Project) -> Result<()> {
    let Some(version) = output(Command::new("python3").args(["-c", CHECK])) else {
        let tool = "Python (`python3`) of version 3.10 or later, with venv";
        let plugin = project.name().to_owned();
        return Err(Error::MissingTool { plugin, tool, install: INSTALL }.into());
    };
    let requirements = project.dir.join("requirements.txt");
    let text = fs::read_to_string(&requirements);
    let text = text.map_err(error::Error::file("reading", &requirements))?;
    let venv = project.target().join("venv");
    let (stamp, wanted) = (venv.join("complete"), format!("{version}\n{text}"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say("creating an environment with componentize-py in target/venv, once")?;
    let mut make = Command::new("python3");
    make.current_dir(&project.dir).args(["-m", "venv", "--clear", "target/venv"]);
    finish(project, &mut make)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.current_dir(&project.dir).args(["-m", "pip", "install", "--quiet"]);
    pip.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
    finish(project, pip.args(["--requirement", "requirements.txt"]))?;
    Ok(fs::write(&stamp, wanted).map_err(error::Error::file("writing", &stamp))?)
}
