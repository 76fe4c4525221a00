//! Finds a Rust toolchain that builds for wasm32, or installs the target.
//!
//! In this order: the target of the active rustup toolchain; `rustup target add`; and, for machines that
//! reach Debian's archive but not rustup's server, Debian's own rustc with the sources of std.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::target::TARGET;

/// The packages of Debian that build for wasm where rustup cannot fetch the target.
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// The target is 30 MB; a machine that cannot reach rustup's server fails at once or never.
const RUSTUP_WITHIN: Duration = Duration::from_mins(1);
/// How long a failure of `rustup target add` is remembered.
const RUSTUP_RETRY_AFTER: Duration = Duration::from_hours(24);
/// How often a child process is polled.
const POLL_EVERY: Duration = Duration::from_millis(100);
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// Where a toolchain comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The one that is active in the folder, with std for the target.
    Rustup,
    /// Debian's, which builds std first.
    Debian,
}

/// A toolchain that builds for [`TARGET`].
#[derive(Debug, Clone)]
pub struct Toolchain {
    origin: Origin,
    about: String,
    id: String,
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// A description for the user.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Changes whenever the toolchain would build other components.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn rustflags(&self) -> &'static [&'static str] {
        match self.origin {
            Origin::Rustup => &[],
            Origin::Debian => &["-Clinker-flavor=wasm-ld"],
        }
    }

    /// `cargo` of this toolchain, up to the subcommand's name.
    pub(crate) fn cargo(&self) -> Command {
        match self.origin {
            Origin::Rustup => {
                let mut command = clean(cargo());
                command.env_remove("CARGO_BUILD_TARGET");
                command
            }
            Origin::Debian => {
                // This toolchain has no std for wasm32: cargo builds it, which a stable cargo must be told to allow.
                let mut command = without_rustup(DEBIAN_CARGO);
                command
                    .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", DEBIAN_RUSTC);
                if let Some(linker) = &self.linker {
                    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                }
                command
            }
        }
    }
}

/// What to look for and where.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The folder of the sources: its `rust-toolchain.toml` says which toolchain is active.
    pub dir: &'a Path,
    /// A folder in which a failure of `rustup target add` is remembered. Created when needed.
    pub cache: &'a Path,
    /// The only origin that is accepted; any if absent.
    pub wanted: Option<Origin>,
}

impl Search<'_> {
    /// The first toolchain that works. `say` gets a line for what takes time and for what was skipped.
    pub fn find(&self, say: &mut dyn FnMut(&str)) -> Result<Toolchain, Error> {
        if self.wanted != Some(Origin::Debian) {
            if self.has_target() {
                return self.rustup("target installed");
            }
            if self.add_target(say)? && self.has_target() {
                return self.rustup("target added just now");
            }
            if self.wanted == Some(Origin::Rustup) {
                return Err(Error::TargetNotAdded);
            }
        }
        match wasm_linker() {
            Some(linker) if debian_is_there() => debian(linker),
            _ if !runs(&cargo(), &["--version"]) => Err(Error::NoCargo),
            _ => Err(Error::NoToolchain { packages: DEBIAN_PACKAGES.join(" ") }),
        }
    }

    fn rustc(&self) -> Command {
        let mut rustc = clean(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(self.dir);
        rustc
    }

    fn rustup(&self, how: &str) -> Result<Toolchain, Error> {
        if !runs(&cargo(), &["--version"]) {
            return Err(Error::NoCargo);
        }
        let id = output(self.rustc().arg("-vV"))?;
        let about = format!("{}, {TARGET} {how}", first_line(&id));
        Ok(Toolchain { origin: Origin::Rustup, about, id, linker: None })
    }

    /// Whether the active toolchain has std for the target.
    fn has_target(&self) -> bool {
        let dir = output(self.rustc().args(["--print", "target-libdir", "--target", TARGET]));
        let Ok(Ok(mut entries)) = dir.map(|dir| fs::read_dir(dir.trim())) else { return false };
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd"))
        })
    }

    /// Asks rustup for the target, unless that failed here not long ago.
    fn add_target(&self, say: &mut dyn FnMut(&str)) -> Result<bool, Error> {
        let failed = self.cache.join("rustup-target-add-failed");
        let age = fs::metadata(&failed).and_then(|file| file.modified()).ok();
        let age = age.and_then(|time| time.elapsed().ok());
        if self.wanted.is_none() && age.is_some_and(|age| age < RUSTUP_RETRY_AFTER) {
            say(&format!("`rustup target add {TARGET}` failed here in the last 24 hours: skipped"));
            return Ok(false);
        }
        if !runs(OsStr::new("rustup"), &["--version"]) {
            return Ok(false);
        }
        say(&format!("rustup target add {TARGET}"));
        let mut command = Command::new("rustup");
        command.current_dir(self.dir).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
        let added = succeeds_within(&mut command, RUSTUP_WITHIN)?;
        if !added {
            let write = |cause| Error::Write { path: failed.clone(), cause };
            fs::create_dir_all(self.cache).map_err(write)?;
            fs::write(&failed, "").map_err(write)?;
        }
        Ok(added)
    }
}

fn debian_is_there() -> bool {
    [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_STD].iter().all(|path| Path::new(path).exists())
}

fn debian(linker: PathBuf) -> Result<Toolchain, Error> {
    let id = output(without_rustup(DEBIAN_RUSTC).arg("-vV"))?;
    let about = format!("Debian's {}, which builds std for {TARGET} first", first_line(&id));
    Ok(Toolchain { origin: Origin::Debian, about, id, linker: Some(linker) })
}

/// `wasm-ld`, or the newest `wasm-ld-<version>`.
fn wasm_linker() -> Option<PathBuf> {
    let plain = PathBuf::from("/usr/bin/wasm-ld");
    if plain.exists() {
        return Some(plain);
    }
    let entries = fs::read_dir("/usr/bin").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let version =
        |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("wasm-ld-")?.parse::<u32>().ok();
    entries.filter(|path| version(path).is_some()).max_by_key(version)
}

/// A command without the variables that `cargo run` sets for the program that calls it: build scripts
/// watch some of them, and would run again whenever cargo is called that way after it was called by hand.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// A program of Debian's toolchain, which must not see the variables of rustup.
fn without_rustup(program: &str) -> Command {
    let mut command = clean(program);
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}

/// The cargo that runs us, else the one on PATH.
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("rustc")
}

/// Runs quietly and returns what it printed.
fn output(command: &mut Command) -> Result<String, Error> {
    let line = shown(command);
    let output = command.output().map_err(|cause| Error::Start { line: line.clone(), cause })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Ended { line, status: output.status, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the program is there and ends well.
fn runs(program: &OsStr, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs with our terminal and is killed after `limit`. Whether it ended well and in time.
fn succeeds_within(command: &mut Command, limit: Duration) -> Result<bool, Error> {
    let failed = |command: &Command, cause: io::Error| Error::Start { line: shown(command), cause };
    let mut child = match command.stdin(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(cause) => return Err(failed(command, cause)),
    };
    let begin = Instant::now();
    while begin.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => thread::sleep(POLL_EVERY),
            Err(cause) => return Err(failed(command, cause)),
        }
    }
    // An error means that it has ended already.
    drop(child.kill());
    drop(child.wait());
    Ok(false)
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
