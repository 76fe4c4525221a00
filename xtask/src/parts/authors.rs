//! What plugins in JavaScript and Python are built with, fetched once into the caches of npm and pip: the
//! tests make projects from nothing, and find it there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::{run, setup};

pub(super) fn fetch(ctx: &Context) -> Result<()> {
    setup::ensure(&[setup::Need::Node, setup::Need::Python])?;
    let templates = ctx.root.join("host/templates");
    once(ctx, "npm", &templates.join("js/package.json"), |dir, manifest| {
        // The template's name is none that npm takes.
        fs::write(dir.join("package.json"), manifest.replace("{{name}}", "prefetch"))?;
        let mut npm = Command::new("npm");
        npm.current_dir(dir).args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
        run::run(&mut npm)
    })?;
    once(ctx, "pip", &templates.join("python/requirements.txt"), |dir, requirements| {
        fs::write(dir.join("requirements.txt"), requirements)?;
        run::run(Command::new("python3").current_dir(dir).args(["-m", "venv", "venv"]))?;
        let mut pip = Command::new(dir.join("venv/bin/python"));
        pip.current_dir(dir).args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
        run::run(pip.args(["--requirement", "requirements.txt"]))
    })
}

/// Does the work in a folder that is thrown away, unless it was done for the same text.
fn once(
    ctx: &Context,
    name: &str,
    wanted: &Path,
    work: impl FnOnce(&Path, &str) -> Result<()>,
) -> Result<()> {
    let text =
        fs::read_to_string(wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    let part = super::folder(ctx, name, &text);
    if part.exists() {
        return Ok(());
    }
    let new = super::begin(&part)?;
    let about = "fetches what plugins in JavaScript or Python are built with";
    run::step(name, about, || work(&new, &text))?;
    // What counts is what the package manager keeps in its own cache: the part is an empty folder.
    super::finish(&super::begin(&part)?, &part)
}
