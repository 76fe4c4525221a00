//! The parts that `cargo xtask test` hands to the tests, in environment variables. A test whose part is
//! missing fails and says how to get it; none is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kafka::Install;

/// What every variable of this project begins with.
const PREFIX: &str = "AUDIT_HOST_";

/// A path from an environment variable.
fn path(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from);
    path.with_context(|| {
        format!("{name} is not set; `cargo xtask test` sets it, tests/README.md has it by hand")
    })
}

/// A part that must exist, and the command that makes it.
fn part(path: PathBuf, command: &str) -> Result<PathBuf> {
    ensure!(path.exists(), "{} is missing; `{command}` makes it", path.display());
    Ok(path)
}

/// The program under test.
pub fn program() -> Result<PathBuf> {
    part(path("AUDIT_HOST_BIN")?, "cargo xtask build")
}

/// The interpreter that has PyIceberg and DuckDB.
pub fn python() -> Result<PathBuf> {
    part(path("AUDIT_HOST_PYTHON")?, "cargo xtask real-parts")
}

/// Java, and Kafka's jars.
pub fn kafka() -> Result<Install> {
    let fetched = |name| part(path(name)?, "cargo xtask real-parts");
    Ok(Install { java: fetched("AUDIT_HOST_JAVA")?, home: fetched("AUDIT_HOST_KAFKA_HOME")? })
}

/// The folder of the built components.
pub fn plugins() -> Result<PathBuf> {
    part(path("AUDIT_HOST_PLUGINS")?, "cargo xtask plugins")
}

/// A built component, by its plugin's name.
pub fn plugin(name: &str) -> Result<String> {
    component(&plugins()?, name)
}

/// A component of `tests/guests/`, by its library's name.
pub fn guest(name: &str) -> Result<String> {
    component(&path("AUDIT_HOST_GUESTS")?, name)
}

fn component(folder: &Path, name: &str) -> Result<String> {
    let path = part(folder.join(format!("{name}.wasm")), "cargo xtask plugins")?;
    Ok(path.display().to_string())
}

/// Takes the variables of the tests, and the settings of whoever runs them, from a command's environment.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PREFIX) {
            command.env_remove(name);
        }
    }
}

/// A new, empty folder for one test.
pub fn folder(name: &str) -> Result<PathBuf> {
    let dir = path("AUDIT_HOST_TMP")?.join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))
}
