//! Pages of `docs/` that are made from the code, so that they cannot contradict it.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::run;

pub(crate) mod codes;
pub(crate) mod errors;

/// `cargo xtask docs [--check]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let is_check = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => return run::usage("docs takes only `--check`".into()),
    };
    run::step("docs", &format!("makes {} from the errors of the code", errors::PAGE), || {
        let page = errors::page(&codes::read(ctx)?);
        let path = ctx.root.join(errors::PAGE);
        let old = fs::read_to_string(&path).unwrap_or_default();
        if old == page {
            println!("  nothing changed");
            return Ok(());
        }
        if is_check {
            bail!("{} is out of date: run `cargo xtask docs`", errors::PAGE);
        }
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
    })
}
