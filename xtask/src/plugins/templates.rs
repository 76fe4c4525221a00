//! Builds the transform of every template with the program itself, as an author does: benchmarks
//! compare the languages by them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::stamp;
use crate::context::Context;
use crate::needs::Need;
use crate::{folder, run};

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
        if stamp::is_current(&ctx.templates(), &inputs) {
            return Ok(());
        }
        folder::empty(&ctx.templates())?;
        let files = langs.iter().map(|lang| one(ctx, lang));
        stamp::write(&ctx.templates(), &inputs, &files.collect::<Result<Vec<_>>>()?)
    })
}

fn one(ctx: &Context, lang: &str) -> Result<PathBuf> {
    let name = format!("mask_{lang}");
    let dir = ctx.scratch(&format!("templates/{lang}"))?;
    let file = ctx.templates().join(format!("{name}.wasm"));
    let program = || {
        let mut program = Command::new(ctx.host_binary());
        program.current_dir(&dir).arg("plugin");
        program
    };
    run::run(program().args(["new", &name, "--lang", lang, "--kind", "transform"]))?;
    run::run(program().args(["build", &name, "--output"]).arg(&file))?;
    Ok(file)
}
