//! Builds every plugin as a WebAssembly component.
//!
//! A plugin is a crate under `plugins/` with a library of type `cdylib`. Its component is
//! `<target>/plugins/<library>.wasm`; the program embeds these files, and they are never committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::context::Context;
use crate::{run, setup};

pub(crate) mod stamp;
pub(crate) mod toolchain;

use toolchain::{TARGET, Toolchain};

/// How the name of the section begins in which wit-bindgen describes the world.
const WORLD_SECTION: &[u8] = b"component-type:";

/// A plugin's package and the file name of its library.
struct Plugin {
    package: String,
    library: String,
}

/// `cargo xtask plugins [--toolchain rustup|debian]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let wanted = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--toolchain", "rustup"] => Some(toolchain::Origin::Rustup),
        ["--toolchain", "debian"] => Some(toolchain::Origin::Debian),
        _ => return run::usage("plugins takes only `--toolchain rustup|debian`".into()),
    };
    setup::ensure(&[setup::Need::Cpp])?;
    let _lock = ctx.lock_target()?;
    build(ctx, wanted)
}

/// Builds what changed. The caller holds the lock of the target folder.
pub(crate) fn build(ctx: &Context, wanted: Option<toolchain::Origin>) -> Result<()> {
    run::step("plugins", "builds plugins/* as components, for the program to embed", || {
        let toolchain = toolchain::find(ctx, wanted)?;
        println!("  wasm tool chain: {}", toolchain.about);
        let inputs = stamp::of_inputs(&ctx.root, &toolchain.id)?;
        if stamp::is_current(&ctx.plugins(), &inputs) {
            println!("  nothing changed since the last build");
            return Ok(());
        }
        let plugins = find_plugins(ctx)?;
        ensure!(!plugins.is_empty(), "no crate under plugins/ has `crate-type = [\"cdylib\"]`");
        compile(ctx, &toolchain, &plugins)?;
        stamp::clear(&ctx.plugins())?;
        // All are tried, so that one plugin that is being written does not hold up the others.
        let files: Vec<_> = plugins.iter().map(|plugin| componentize(ctx, plugin)).collect();
        stamp::write(&ctx.plugins(), &inputs, &files.into_iter().collect::<Result<Vec<_>>>()?)
    })
}

fn find_plugins(ctx: &Context) -> Result<Vec<Plugin>> {
    let mut metadata = run::cargo(ctx);
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&run::output(&mut metadata)?)?;
    let folder = ctx.root.join("plugins");
    let mut plugins = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata names no packages")? {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if !Path::new(manifest).starts_with(&folder) {
            continue;
        }
        for target in package["targets"].as_array().into_iter().flatten() {
            let types = target["crate_types"].as_array();
            if types.is_some_and(|types| types.iter().any(|kind| kind == "cdylib")) {
                let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let library = name(&target["name"]).replace('-', "_");
                plugins.push(Plugin { package: name(&package["name"]), library });
            }
        }
    }
    Ok(plugins)
}

fn compile(ctx: &Context, toolchain: &Toolchain, plugins: &[Plugin]) -> Result<()> {
    let mut command = toolchain.cargo();
    command
        .current_dir(&ctx.root)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .env("CARGO_TARGET_DIR", ctx.target.join("wasm"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        // Drops the debug information of std, nine tenths of the file; backtraces keep their names.
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(ctx, toolchain)?.join("\x1f"));
    for plugin in plugins {
        command.args(["--package", &plugin.package]);
    }
    run::run(&mut command)
}

/// Paths of this machine are cut from panic messages: the same sources give the same component elsewhere.
fn rustflags(ctx: &Context, toolchain: &Toolchain) -> Result<Vec<String>> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir().context("set HOME or CARGO_HOME")?.join(".cargo"),
    };
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
    flags.push(format!("--remap-path-prefix={}=cargo", cargo_home.display()));
    flags.push(format!("--remap-path-prefix={}=.", ctx.root.display()));
    flags.extend(toolchain.rustflags.iter().cloned());
    Ok(flags)
}

fn componentize(ctx: &Context, plugin: &Plugin) -> Result<PathBuf> {
    let file = format!("{}.wasm", plugin.library);
    let module = ctx.target.join("wasm").join(TARGET).join("release").join(&file);
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    // Without the section that describes the world the encoder makes an empty component, silently.
    ensure!(
        bytes.windows(WORLD_SECTION.len()).any(|window| window == WORLD_SECTION),
        "{} exports no plugin; its lib.rs needs the export macro of audit-plugin-sdk",
        plugin.package
    );
    let mut encoder = ComponentEncoder::default();
    let component = encoder.validate(true).module(&bytes).and_then(ComponentEncoder::encode);
    let component = match component {
        Ok(component) => component,
        Err(error) => bail!("cannot make a component of {}: {error:#}", plugin.package),
    };
    let path = ctx.plugins().join(file);
    fs::write(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    println!("  {} ({} KiB)", path.display(), component.len() / 1024);
    Ok(path)
}

/// Calls a program of the Debian tool chain, which must not meet the variables of rustup.
fn without_rustup(program: &Path) -> Command {
    let mut command = run::clean(program);
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}
