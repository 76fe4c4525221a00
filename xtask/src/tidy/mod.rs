//! The rules of STYLE.md that neither the compiler nor clippy checks.

use anyhow::{Result, bail};

use crate::context::Context;
use crate::run;

mod architecture;
mod binaries;
mod circles;
mod deny;
mod edges;
mod errors;
mod lengths;
mod named_tests;
mod retired;
mod sources;
mod spdx;
mod tree;
mod wit;

use tree::{Failure, Package, Tree};

/// `cargo xtask tidy`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return run::usage("tidy takes no arguments".into());
    }
    let about = "checks dependencies, imports, lengths, names, words and pages made from the code";
    run::step("tidy", about, || {
        // Both are reported, whatever the first one says.
        let ours = check(ctx);
        check_foreign(ctx).and(ours)
    })
}

/// The rules for what is written here.
pub(crate) fn check(ctx: &Context) -> Result<()> {
    let tree = Tree::read(ctx)?;
    let packages = Package::read(ctx)?;
    let rust = tree.sources(".rs")?;
    let mut failures = edges::check(&packages);
    failures.extend(circles::check(&packages, &tree)?);
    failures.extend(lengths::check(&rust));
    failures.extend(sources::check(&rust));
    failures.extend(retired::check(&tree)?);
    failures.extend(wit::check(&tree)?);
    failures.extend(architecture::check(&packages, &tree)?);
    failures.extend(named_tests::check(&rust, &tree)?);
    failures.extend(errors::check(ctx, &tree)?);
    failures.extend(binaries::check(&tree)?);
    report(&failures)
}

/// The rules for foreign code: bans, licences and sources.
pub(crate) fn check_foreign(ctx: &Context) -> Result<()> {
    report(&deny::check(ctx, &Tree::read(ctx)?)?)
}

fn report(failures: &[Failure]) -> Result<()> {
    for failure in failures {
        println!("  {failure}");
    }
    if !failures.is_empty() {
        bail!("rules broken: {}", failures.len());
    }
    Ok(())
}
