//! Builds the plugin that does nothing: as `plugins` builds the others, but beside them, so that the
//! program does not embed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use wit_component::ComponentEncoder;

use super::options::Options;
use crate::context::Context;
use crate::run;

#[path = "../plugins/toolchain.rs"]
#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "the same tool chain; `plugins` keeps it to itself and uses more of it"
)]
mod toolchain;

/// The crate, in the checkout.
const FOLDER: &str = "tests/guests/copy-column";
const FILE: &str = "copy_column.wasm";

/// The folder of guests that are not for users.
pub(super) fn folder(ctx: &Context) -> PathBuf {
    ctx.target.join("guests")
}

/// The component: built now, or with `--no-build` the one that is there.
pub(super) fn component(ctx: &Context, options: &Options) -> Result<PathBuf> {
    let path = folder(ctx).join(FILE);
    if !options.build && path.exists() { Ok(path) } else { build(ctx) }
}

fn build(ctx: &Context) -> Result<PathBuf> {
    let toolchain = toolchain::find(ctx, None)?;
    let mut command = toolchain.cargo();
    command
        .current_dir(ctx.root.join(FOLDER))
        .args(["build", "--release", "--locked", "--target", toolchain::TARGET])
        .env("CARGO_TARGET_DIR", ctx.target.join("wasm"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&toolchain).join("\x1f"));
    run::run(&mut command)?;
    let module = ctx.target.join("wasm").join(toolchain::TARGET).join("release").join(FILE);
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| anyhow!("cannot make a component of {FOLDER}: {error:#}"))?;
    let dir = folder(ctx);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(FILE);
    fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn rustflags(toolchain: &toolchain::Toolchain) -> Vec<String> {
    let simd = "-Ctarget-feature=+simd128".to_owned();
    std::iter::once(simd).chain(toolchain.rustflags.iter().cloned()).collect()
}

/// Calls a program of the Debian tool chain, which must not meet the variables of rustup.
fn without_rustup(program: &Path) -> Command {
    let mut command = run::clean(program);
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}
