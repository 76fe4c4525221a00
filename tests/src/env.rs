//! What `cargo xtask test` says of the machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A path out of an environment variable.
fn path(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from);
    path.with_context(|| format!("{name} is not set; run these tests by `cargo xtask test`"))
}

/// The program under test.
pub fn program() -> Result<PathBuf> {
    path("AUDIT_HOST_BIN")
}

/// The interpreter that has PyIceberg and DuckDB.
pub fn python() -> Result<PathBuf> {
    path("AUDIT_HOST_PYTHON")
}

/// The folder of the built components.
pub fn plugins() -> Result<PathBuf> {
    path("AUDIT_HOST_PLUGINS")
}

/// A built component, by its plugin's name.
pub fn plugin(name: &str) -> Result<String> {
    Ok(plugins()?.join(format!("{name}.wasm")).display().to_string())
}

/// A component of `tests/guests/`, by its library's name.
pub fn guest(name: &str) -> Result<String> {
    Ok(path("AUDIT_HOST_GUESTS")?.join(format!("{name}.wasm")).display().to_string())
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
