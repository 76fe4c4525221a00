//! From a checkout to the running demo.

use std::process::Command;

use anyhow::Result;

use crate::context::Context;
use crate::{build, needs, plugins, run};

/// `cargo xtask demo [args…]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    needs::for_build()?;
    let lock = ctx.lock_target()?;
    plugins::build(ctx, None)?;
    build::host(ctx)?;
    // The demo may run for long and only reads what was built.
    drop(lock);
    run::run(Command::new(ctx.host_binary()).arg("demo").args(args))
}
