//! The real parts that tests run against: fetched once, kept in the user's cache, shared by checkouts.
//! Each one is checked in every run, as if it were fresh: a part from the cache hides nothing.

use std::path::PathBuf;

use anyhow::Result;

use crate::context::Context;
use crate::kafka::Install;
use crate::run;

mod authors;
mod kafka_node;
mod part;
mod readers;

/// What the tests need to know of the parts.
pub(crate) struct Parts {
    pub(crate) kafka: Install,
    /// The interpreter of a virtual environment with PyIceberg and DuckDB.
    pub(crate) python: PathBuf,
    /// The caches of npm and pip that hold what plugins in JavaScript and Python are built with.
    pub(crate) npm_cache: PathBuf,
    pub(crate) pip_cache: PathBuf,
    /// The names of the parts that were there already.
    pub(crate) cached: Vec<&'static str>,
}

/// Fetches what is not there yet and checks everything.
pub(crate) fn fetch(ctx: &Context) -> Result<Parts> {
    let _lock = ctx.lock_parts()?;
    let (npm, pip) = (authors::npm(ctx)?, authors::pip(ctx)?);
    let (kafka, java) = kafka_node::fetch(ctx)?;
    let readers = readers::fetch(ctx)?;
    let parts = [&npm, &pip, &kafka, &readers];
    let cached = parts.into_iter().filter(|part| part.is_cached).map(|part| part.name).collect();
    Ok(Parts {
        kafka: Install { java, home: kafka.folder },
        python: readers::python(&readers),
        npm_cache: npm.folder,
        pip_cache: pip.folder,
        cached,
    })
}

/// The Python of [`Parts`] alone.
pub(crate) fn python(ctx: &Context) -> Result<PathBuf> {
    let _lock = ctx.lock_parts()?;
    Ok(readers::python(&readers::fetch(ctx)?))
}

/// `cargo xtask real-parts [up|down kafka]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let parts = fetch(ctx)?;
            println!("AUDIT_HOST_JAVA={}", parts.kafka.java.display());
            println!("AUDIT_HOST_KAFKA_HOME={}", parts.kafka.home.display());
            println!("AUDIT_HOST_PYTHON={}", parts.python.display());
            Ok(())
        }
        ["up", "kafka"] => kafka_node::up(ctx, &fetch(ctx)?.kafka),
        ["down", "kafka"] => kafka_node::down(ctx),
        _ => run::usage("real-parts takes no arguments, `up kafka` or `down kafka`".into()),
    }
}
