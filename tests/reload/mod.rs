//! Plugins reloaded by a running host: no record lost or repeated, and the table proves which bytes judged
//! each of its rows.

mod files;
mod shadow;
mod swaps;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::json::text;
use audit_tests::program::{Program, Running};
use audit_tests::{env, hostile};

/// What the guest writes over every row, and what its other version writes: of the same length. Which
/// version judged a row can be seen, and not whether another one judged it before: see `swaps`.
const MARK: &str = "asked for nothing";
const OTHER_MARK: &str = "asked for a thing";

/// A plugin that marks every row, in two versions that differ in their mark only.
fn versions() -> Result<[Vec<u8>; 2]> {
    let bytes = fs::read(env::guest("files_and_sockets")?)?;
    let other = hostile::patched(&bytes, MARK, OTHER_MARK)?;
    Ok([bytes, other])
}

fn hang_up(host: &Running) -> Result<()> {
    let status = Command::new("kill").args(["-HUP", &host.pid().to_string()]).status()?;
    ensure!(status.success(), "no SIGHUP to {}", host.pid());
    Ok(())
}

/// `audit-host` with this file as its plugin, which asks WASI for nothing.
fn host(case: &Case, plugin: &Path) -> Result<Program> {
    let config = case.dir.join("audit-host.toml");
    let path = plugin.display();
    fs::write(
        &config,
        format!("[[plugin]]\npath = \"{path}\"\nconfig = {{ try = \"nothing\" }}\n"),
    )?;
    let cache = case.path("compiled");
    let host = case.host()?.args(&["--config", &config.display().to_string()]);
    Ok(host.args(&["--plugin-cache", &cache, "--trigger-interval", "500ms"]))
}

/// The marks of all rows that came from records.
fn marks_of(case: &Case) -> Result<Vec<String>> {
    let (_, rows) = case.reader().rows(TABLE, &["source_offset", "user_agent"])?;
    let of_records = rows.iter().filter(|row| !row["source_offset"].is_null());
    Ok(of_records.map(|row| text(&row["user_agent"])).collect())
}

/// The folder for plugin files of a test.
fn plugin_folder(case: &Case) -> Result<PathBuf> {
    let folder = case.dir.join("plugins");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
