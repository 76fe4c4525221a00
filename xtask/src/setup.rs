//! Gets what the other commands need before they need it.

use anyhow::Result;

use crate::context::Context;
use crate::{needs, parts, plugins, run};

/// `cargo xtask setup [build|test]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let for_tests = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["build"] => false,
        [] | ["test"] => true,
        _ => return run::usage("setup takes `build` or `test`".into()),
    };
    run::step("setup", "checks what the other commands need, and gets what is missing", || {
        needs::for_build()?;
        plugins::toolchain(ctx, None)?;
        if for_tests {
            parts::fetch(ctx)?;
        }
        Ok(())
    })
}
