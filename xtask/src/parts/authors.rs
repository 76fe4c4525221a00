//! What plugins in JavaScript and Python are built with, fetched once into a cache of npm and one of pip:
//! the tests make projects from nothing, and find it there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::part::{Part, in_scratch};
use crate::context::Context;
use crate::{needs, run};

/// A cache of npm with what the template's `package.json` asks for.
pub(super) fn npm(ctx: &Context) -> Result<Part> {
    needs::ensure(&[needs::Need::Node])?;
    let manifest = template(ctx, "js/package.json")?;
    let install = |cache: &Path, about: &str, flags: &[&str]| {
        in_scratch(ctx, "npm", |dir| {
            // npm refuses the template's placeholder as a name.
            fs::write(dir.join("package.json"), manifest.replace("{{name}}", "prefetch"))?;
            let mut npm = Command::new("npm");
            npm.current_dir(dir).env("npm_config_cache", cache).arg("install").args(flags);
            npm.args(["--no-audit", "--no-fund", "--loglevel=error"]);
            run::step("npm", about, || run::run(&mut npm))
        })
    };
    let fetch =
        |cache: &Path| install(cache, "fetches what plugins in JavaScript are built with", &[]);
    let check = |cache: &Path| install(cache, "installs from the cache, offline", &["--offline"]);
    Part::ensure(ctx, "npm", &manifest, fetch, check)
}

/// A cache of pip with what the template's `requirements.txt` asks for.
pub(super) fn pip(ctx: &Context) -> Result<Part> {
    needs::ensure(&[needs::Need::Python])?;
    let requirements = template(ctx, "python/requirements.txt")?;
    let install = |cache: &Path, about: &str| {
        in_scratch(ctx, "pip", |dir| {
            fs::write(dir.join("requirements.txt"), &requirements)?;
            run::step("pip", about, || {
                run::run(Command::new("python3").current_dir(dir).args(["-m", "venv", "venv"]))?;
                let mut pip = Command::new(dir.join("venv/bin/python"));
                pip.current_dir(dir).env("PIP_CACHE_DIR", cache);
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                run::run(pip.args(["--only-binary", ":all:", "--requirement", "requirements.txt"]))
            })
        })
    };
    let fetch = |cache: &Path| install(cache, "fetches what plugins in Python are built with");
    // pip asks the index for the names in any case; the packages come out of the cache.
    let check = |cache: &Path| install(cache, "installs from the cache");
    Part::ensure(ctx, "pip", &requirements, fetch, check)
}

fn template(ctx: &Context, file: &str) -> Result<String> {
    let path = ctx.root.join("host/templates").join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
