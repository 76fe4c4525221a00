//! How well the built-in plugins find what they are for: scores on labelled data.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::{needs, parts, run};

/// What can be scored.
const PARTS: [&str; 2] = ["detection", "pii"];

struct Options {
    parts: Vec<&'static str>,
    /// On the data that may be looked at, with what went wrong.
    is_tuning: bool,
}

/// `cargo xtask eval [detection|pii] [--tuning]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let options = parse(args)?;
    needs::for_build()?;
    for part in options.parts {
        let mut cargo = evaluate(ctx, part);
        if part == "detection" {
            let python = parts::python(ctx)?;
            cargo.env("AUDIT_HOST_PYTHON", python).env("AUDIT_HOST_TMP", folder(ctx)?);
        }
        cargo.args(options.is_tuning.then_some("--tuning"));
        run::step("eval", "scores the plugins on labelled data", || run::run(&mut cargo))?;
    }
    Ok(())
}

fn evaluate(ctx: &Context, part: &str) -> Command {
    let mut cargo = ctx.cargo();
    cargo.args(["run", "--release", "--locked", "--package", "audit-evaluate"]);
    cargo.args(["--example", part, "--"]);
    cargo
}

fn folder(ctx: &Context) -> Result<PathBuf> {
    let dir = ctx.target.join("tmp/eval");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options { parts: Vec::new(), is_tuning: false };
    for arg in args {
        if arg == "--tuning" {
            options.is_tuning = true;
        } else if let Some(part) = PARTS.iter().find(|part| *part == arg) {
            options.parts.push(part);
        } else {
            return run::usage(format!(
                "unknown argument `{arg}`; available: {}, --tuning",
                PARTS.join(", ")
            ));
        }
    }
    if options.parts.is_empty() {
        options.parts = PARTS.into();
    }
    Ok(options)
}
