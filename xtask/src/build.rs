//! Builds the plugins and the program that embeds them.

use anyhow::Result;

use crate::context::Context;
use crate::{needs, plugins, run};

/// `cargo xtask build`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return run::usage("build takes no arguments".into());
    }
    needs::for_build()?;
    let _lock = ctx.lock_target()?;
    plugins::build(ctx, None)?;
    host(ctx)
}

/// Builds the program. The caller holds the lock of the target folder and has built the plugins.
pub(crate) fn host(ctx: &Context) -> Result<()> {
    let about = "builds audit-host with the plugins inside (the first time takes minutes)";
    run::step("build", about, || {
        let mut cargo = ctx.cargo();
        run::run(cargo.args(["build", "--release", "--locked", "--package", "audit-host"]))?;
        println!("  {}", ctx.host_binary().display());
        Ok(())
    })
}
