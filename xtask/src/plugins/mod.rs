//! Builds every plugin as a WebAssembly component.
//!
//! A plugin is a crate under `plugins/` with a library of type `cdylib`. Its component is
//! `<target>/plugins/<library>.wasm`; the program embeds these files, and they are never committed.
//! Guests are plugins that only tests and benchmarks load: each folder of `tests/guests/` is a cargo
//! workspace of its own, as a stranger's plugin is, and becomes `<target>/guests/<library>.wasm`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use audit_toolchain::{Build, DEBIAN_PACKAGES, Error, Origin, Search, TARGET, Toolchain};
use serde_json::Value;

use crate::context::Context;
use crate::{folder, needs, run};

pub(crate) mod golden;
pub(crate) mod stamp;
pub(crate) mod templates;

/// What goes into our plugins, besides the tool chain. The last two hold the flags.
const PLUGIN_INPUTS: &[&str] = &[
    "plugins",
    "wit",
    "Cargo.lock",
    "Cargo.toml",
    "host/crates/golden",
    "host/crates/toolchain",
    "xtask/src/plugins",
];
/// What goes into the guests. The SDK takes versions from the workspace.
const GUEST_INPUTS: &[&str] = &[
    "tests/guests",
    "plugins/sdk",
    "wit",
    "Cargo.toml",
    "host/crates/golden",
    "host/crates/toolchain",
    "xtask/src/plugins",
];

/// A package with a library that becomes a component.
struct Plugin {
    package: String,
    library: String,
    /// Where its manifest lies.
    folder: PathBuf,
}

/// `cargo xtask plugins [--toolchain rustup|debian]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let wanted = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--toolchain", "rustup"] => Some(Origin::Rustup),
        ["--toolchain", "debian"] => Some(Origin::Debian),
        _ => return run::usage("plugins takes only `--toolchain rustup|debian`".into()),
    };
    needs::ensure(&[needs::Need::Cpp])?;
    let _lock = ctx.lock_target()?;
    build(ctx, wanted)?;
    guests(ctx, wanted)
}

/// Builds the plugins that changed. The caller holds the lock of the target folder.
pub(crate) fn build(ctx: &Context, wanted: Option<Origin>) -> Result<()> {
    run::step("plugins", "builds plugins/* as components, for the program to embed", || {
        let toolchain = toolchain(ctx, wanted)?;
        let inputs = stamp::of_inputs(&ctx.root, PLUGIN_INPUTS, toolchain.id())?;
        if stamp::is_current(&ctx.plugins(), &inputs) {
            return Ok(());
        }
        let folder = ctx.root.join("plugins");
        let plugins = find_plugins(ctx, &ctx.root, &folder)?;
        ensure!(!plugins.is_empty(), "no crate under plugins/ has `crate-type = [\"cdylib\"]`");
        let target = ctx.wasm();
        let build =
            Build { toolchain: &toolchain, dir: &ctx.root, root: &ctx.root, target: &target };
        let packages: Vec<&str> = plugins.iter().map(|plugin| plugin.package.as_str()).collect();
        run::run(build.command(&packages)?.arg("--locked"))?;
        // A build that fails leaves nothing that looks like its result.
        folder::empty(&ctx.plugins())?;
        // All are tried, so that one plugin that is being written does not hold up the others.
        let files: Vec<_> =
            plugins.iter().map(|plugin| componentize(&build, plugin, &ctx.plugins())).collect();
        stamp::write(&ctx.plugins(), &inputs, &files.into_iter().collect::<Result<Vec<_>>>()?)
    })
}

/// Builds the guests if any changed. The caller holds the lock of the target folder.
pub(crate) fn guests(ctx: &Context, wanted: Option<Origin>) -> Result<()> {
    run::step("guests", "builds tests/guests/* as components, for tests and benchmarks", || {
        let toolchain = toolchain(ctx, wanted)?;
        let inputs = stamp::of_inputs(&ctx.root, GUEST_INPUTS, toolchain.id())?;
        if stamp::is_current(&ctx.guests(), &inputs) {
            return Ok(());
        }
        folder::empty(&ctx.guests())?;
        // The folder of the plugins' modules serves the guests too: what both depend on is compiled once.
        let target = ctx.wasm();
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in guest_folders(ctx)? {
            let (dir, root) = (folder.as_path(), ctx.root.as_path());
            let build = Build { toolchain: &toolchain, dir, root, target: &target };
            run::run(build.command(&[])?.arg("--locked"))
                .with_context(|| format!("the guest {}", folder.display()))?;
            for plugin in find_plugins(ctx, &folder, &folder)? {
                let file = componentize(&build, &plugin, &ctx.guests())?;
                ensure!(!files.contains(&file), "two guests are called {}", plugin.library);
                files.push(file);
            }
        }
        stamp::write(&ctx.guests(), &inputs, &files)
    })
}

/// The tool chain, with Debian's packages installed where nothing else is there.
pub(crate) fn toolchain(ctx: &Context, wanted: Option<Origin>) -> Result<Toolchain> {
    let cache = ctx.wasm();
    let search = Search { dir: &ctx.root, cache: &cache, wanted };
    let mut say = |text: &str| println!("  {text}");
    let toolchain = match search.find(&mut say) {
        Err(Error::NoToolchain { .. }) => {
            println!("  no target {TARGET} from rustup: Debian has a rustc that can build one");
            needs::apt_install(DEBIAN_PACKAGES)
                .with_context(|| format!("plugins need `rustup target add {TARGET}`, or else"))?;
            search.find(&mut say)?
        }
        Err(error @ Error::TargetNotAdded) => return run::usage(error.to_string()),
        found => found?,
    };
    println!("  wasm tool chain: {}", toolchain.about());
    Ok(toolchain)
}

fn guest_folders(ctx: &Context) -> Result<Vec<PathBuf>> {
    let dir = ctx.root.join("tests/guests");
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let mut folders: Vec<_> =
        paths.into_iter().filter(|path| path.join("Cargo.toml").is_file()).collect();
    folders.sort();
    Ok(folders)
}

/// The packages of a workspace that lie in a folder and have a library of type `cdylib`.
fn find_plugins(ctx: &Context, workspace: &Path, folder: &Path) -> Result<Vec<Plugin>> {
    let mut metadata = ctx.cargo();
    metadata.current_dir(workspace).args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&run::output(&mut metadata)?)?;
    let mut plugins = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata names no packages")? {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if !Path::new(manifest).starts_with(folder) {
            continue;
        }
        for target in package["targets"].as_array().into_iter().flatten() {
            let types = target["crate_types"].as_array();
            if types.is_some_and(|types| types.iter().any(|kind| kind == "cdylib")) {
                let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let library = name(&target["name"]).replace('-', "_");
                let folder = Path::new(manifest).parent().unwrap_or(workspace).to_owned();
                plugins.push(Plugin { package: name(&package["name"]), library, folder });
            }
        }
    }
    Ok(plugins)
}

fn componentize(build: &Build<'_>, plugin: &Plugin, to: &Path) -> Result<PathBuf> {
    let mut component = build.component(&plugin.library)?;
    let n_cases = golden::embed(&plugin.folder.join("golden"), &mut component)?;
    let path = to.join(format!("{}.wasm", plugin.library));
    fs::write(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    println!("  {} ({} KiB, golden cases: {n_cases})", path.display(), component.len() / 1024);
    Ok(path)
}
