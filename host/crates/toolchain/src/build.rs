//! The cargo command that builds a plugin, and the component made of its module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::component::componentize;
use crate::error::Error;
use crate::lines;
use crate::search::Toolchain;
use crate::target::TARGET;

/// A build of plugins out of one cargo workspace.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    pub toolchain: &'a Toolchain,
    /// The folder of the package or workspace.
    pub dir: &'a Path,
    /// The checkout, which components name as `.`. No path above it gets into them.
    pub root: &'a Path,
    /// Cargo's target folder.
    pub target: &'a Path,
}

impl Build<'_> {
    /// The cargo command that compiles these packages, or all of `dir` if none is named. The caller runs
    /// it, and may add arguments.
    pub fn command(&self, packages: &[&str]) -> Result<Command, Error> {
        let mut command = self.toolchain.cargo();
        command
            .current_dir(self.dir)
            .args(["build", "--release", "--target", TARGET])
            .env("CARGO_TARGET_DIR", self.target)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
            .env("CARGO_PROFILE_RELEASE_LTO", "fat")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            // `component` reduces it to what a backtrace needs.
            .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only")
            .env("CARGO_PROFILE_RELEASE_STRIP", "none")
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags()?.join("\x1f"));
        for package in packages {
            command.args(["--package", package]);
        }
        Ok(command)
    }

    /// The component of a library that `command` has compiled.
    pub fn component(&self, library: &str) -> Result<Vec<u8>, Error> {
        let path = self.target.join(TARGET).join("release").join(format!("{library}.wasm"));
        let module = fs::read(&path).map_err(|cause| Error::Read { path, cause })?;
        componentize(&lines::keep_own(&module, library)?, library)
    }

    /// Paths of this machine are cut from panic messages and line numbers: the same sources give the same
    /// component elsewhere.
    fn rustflags(&self) -> Result<Vec<String>, Error> {
        let cargo_home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir().ok_or(Error::NoHome)?.join(".cargo"),
        };
        let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
        flags.push(format!("--remap-path-prefix={}={}", cargo_home.display(), lines::CARGO));
        flags.push(format!("--remap-path-prefix={}=.", self.root.display()));
        flags.extend(self.toolchain.rustflags().iter().map(ToString::to_string));
        Ok(flags)
    }
}
