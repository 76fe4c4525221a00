//! Builds the transform of every template with the program itself, as an author does: benchmarks
//! compare the languages by them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{is_current, stamp};
use crate::context::Context;
use crate::run;
use crate::setup::Need;

/// What goes into them. `Cargo.toml` holds the versions that the SDK takes.
const INPUTS: &[&str] =
    &["host/templates", "host/src/commands/plugin", "plugins/sdk", "wit", "Cargo.toml"];

/// Languages, and what a machine must have beside Rust.
const LANGUAGES: &[(&str, Option<Need>)] =
    &[("rust", None), ("js", Some(Need::Node)), ("python", Some(Need::Python))];

/// Builds them if anything changed. The caller holds the lock of the target folder, and has built the
/// program.
pub(crate) fn build(ctx: &Context) -> Result<()> {
    run::step("templates", "builds a plugin of each language, as an author does", || {
        let mut langs = Vec::new();
        for (lang, need) in LANGUAGES {
            match need.filter(|need| !need.is_there()) {
                Some(need) => println!("  {lang} is left out: it needs {}", need.about()),
                None => langs.push(*lang),
            }
        }
        let inputs = stamp::of_inputs(&ctx.root, INPUTS, &langs.join(" "))?;
        if is_current(&ctx.templates(), &inputs) {
            return Ok(());
        }
        stamp::clear(&ctx.templates())?;
        let files = langs.iter().map(|lang| one(ctx, lang));
        stamp::write(&ctx.templates(), &inputs, &files.collect::<Result<Vec<_>>>()?)
    })
}

fn one(ctx: &Context, lang: &str) -> Result<PathBuf> {
    let name = format!("mask_{lang}");
    let folder = ctx.target.join("tmp/templates");
    let project = folder.join(&name);
    if project.exists() {
        fs::remove_dir_all(&project)
            .with_context(|| format!("cannot remove {}", project.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = ctx.templates().join(format!("{name}.wasm"));
    let program = || {
        let mut program = Command::new(ctx.host_binary());
        program.current_dir(&folder).arg("plugin");
        program
    };
    run::run(program().args(["new", &name, "--lang", lang, "--kind", "transform"]))?;
    run::run(program().args(["build", &name, "--output"]).arg(&file))?;
    Ok(file)
}
