//! Finds a tool chain that builds for wasm32, or gets one.
//!
//! In this order: the target of the active rustup tool chain, `rustup target add`, and, for machines
//! that reach Debian's archive but not rustup's, Debian's own rustc with the sources of std.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::{run, setup};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// The target is 30 MB; a machine that cannot reach rustup's server fails at once or never.
const RUSTUP_WITHIN: Duration = Duration::from_mins(1);
/// How long a failure of `rustup target add` is remembered.
const RUSTUP_RETRY_AFTER: Duration = Duration::from_hours(24);
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Origin {
    Rustup,
    Debian,
}

pub(crate) struct Toolchain {
    origin: Origin,
    /// For the user: which one it is.
    pub(crate) about: String,
    /// Changes whenever the tool chain gives other components.
    pub(super) id: String,
    pub(super) rustflags: Vec<String>,
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// `cargo` of this tool chain, up to the subcommand's name.
    pub(super) fn cargo(&self) -> Command {
        match self.origin {
            Origin::Rustup => {
                let mut command =
                    run::clean(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                command.env_remove("CARGO_BUILD_TARGET");
                command
            }
            Origin::Debian => {
                // The tool chain has no std for wasm32: cargo builds it, which a stable cargo must be told to allow.
                let mut command = super::without_rustup(Path::new(DEBIAN_CARGO));
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

/// The first tool chain that works, installed if need be.
pub(crate) fn find(ctx: &Context, wanted: Option<Origin>) -> Result<Toolchain> {
    if wanted != Some(Origin::Debian) {
        if has_target(ctx) {
            return rustup(ctx, "target installed");
        }
        if add_target(ctx, wanted.is_some())? && has_target(ctx) {
            return rustup(ctx, "target added just now");
        }
        if wanted == Some(Origin::Rustup) {
            return run::usage(format!("`rustup target add {TARGET}` did not succeed"));
        }
    }
    if !debian_is_there() {
        println!("  no target {TARGET} from rustup: Debian has a rustc that can build one");
        setup::apt_install(DEBIAN_PACKAGES)
            .with_context(|| format!("plugins need `rustup target add {TARGET}`, or else"))?;
    }
    debian()
}

fn rustc(ctx: &Context) -> Command {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(&ctx.root);
    rustc
}

fn rustup(ctx: &Context, how: &str) -> Result<Toolchain> {
    let id = run::output(rustc(ctx).arg("-vV"))?;
    let version = id.lines().next().unwrap_or("rustc").to_owned();
    let about = format!("{version}, {TARGET} {how}");
    Ok(Toolchain { origin: Origin::Rustup, about, id, rustflags: Vec::new(), linker: None })
}

/// Whether the active tool chain has std for the target.
fn has_target(ctx: &Context) -> bool {
    let dir = run::output(rustc(ctx).args(["--print", "target-libdir", "--target", TARGET]));
    let Ok(mut entries) = dir.and_then(|dir| Ok(fs::read_dir(dir.trim())?)) else { return false };
    entries.any(|entry| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd"))
    })
}

/// Asks rustup for the target, unless that failed here not long ago.
fn add_target(ctx: &Context, insist: bool) -> Result<bool> {
    let failed = ctx.target.join("wasm/rustup-target-add-failed");
    let age = fs::metadata(&failed).and_then(|file| file.modified()).ok();
    let age = age.and_then(|time| time.elapsed().ok());
    if !insist && age.is_some_and(|age| age < RUSTUP_RETRY_AFTER) {
        println!("  `rustup target add {TARGET}` failed here lately: not tried");
        return Ok(false);
    }
    if !setup::runs("rustup", &["--version"]) {
        return Ok(false);
    }
    let mut command = Command::new("rustup");
    command.current_dir(&ctx.root).args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    let added = run::succeeds_within(&mut command, RUSTUP_WITHIN)?;
    if !added {
        fs::create_dir_all(ctx.target.join("wasm")).context("cannot create the wasm folder")?;
        fs::write(&failed, "").with_context(|| format!("cannot write {}", failed.display()))?;
    }
    Ok(added)
}

fn debian_is_there() -> bool {
    let library = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
    [DEBIAN_CARGO, DEBIAN_RUSTC, library].iter().all(|path| Path::new(path).exists())
        && wasm_linker().is_some()
}

fn debian() -> Result<Toolchain> {
    let id = run::output(super::without_rustup(Path::new(DEBIAN_RUSTC)).arg("-vV"))?;
    let version = id.lines().next().unwrap_or("rustc").to_owned();
    Ok(Toolchain {
        origin: Origin::Debian,
        about: format!("Debian's {version}, which builds std for {TARGET} first"),
        id,
        rustflags: vec!["-Clinker-flavor=wasm-ld".to_owned()],
        linker: Some(wasm_linker().context("no wasm-ld in /usr/bin; install the package lld-22")?),
    })
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
