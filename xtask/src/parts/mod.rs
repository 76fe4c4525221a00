//! The real parts that tests run against: fetched once, kept in the user's cache, shared by checkouts.
//!
//! Each part is a folder named by the hash of what it was made from. It is filled under another name
//! and renamed when it is complete, so a folder that exists is whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::kafka::Install;
use crate::plugins::stamp::hex;
use crate::run;

mod authors;
mod kafka_node;
mod readers;

/// What the tests need to know of the parts.
pub(crate) struct Parts {
    pub(crate) kafka: Install,
    /// The interpreter of a virtual environment with PyIceberg and DuckDB.
    pub(crate) python: PathBuf,
}

/// Fetches what is not there yet and checks it once.
pub(crate) fn fetch(ctx: &Context) -> Result<Parts> {
    let _lock = ctx.lock_parts()?;
    authors::fetch(ctx)?;
    Ok(Parts { kafka: kafka_node::fetch(ctx)?, python: readers::fetch(ctx)? })
}

/// The Python of [`Parts`] alone.
pub(crate) fn python(ctx: &Context) -> Result<PathBuf> {
    let _lock = ctx.lock_parts()?;
    readers::fetch(ctx)
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
        ["up", "kafka"] => kafka_node::up(ctx),
        ["down", "kafka"] => kafka_node::down(ctx),
        _ => run::usage("real-parts takes nothing, `up kafka` or `down kafka`".into()),
    }
}

/// The folder of a part: `<parts>/<name>-<hash of what it is made from>`.
fn folder(ctx: &Context, name: &str, made_from: &str) -> PathBuf {
    let hash = hex(&Sha256::digest(made_from)[..6]);
    ctx.parts.join(format!("{name}-{hash}"))
}

/// An empty folder beside the part, to fill and then rename to it.
fn begin(part: &Path) -> Result<PathBuf> {
    let new = part.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("cannot remove {}", new.display()))?;
    }
    fs::create_dir_all(&new).with_context(|| format!("cannot create {}", new.display()))?;
    Ok(new)
}

fn finish(new: &Path, part: &Path) -> Result<()> {
    fs::rename(new, part).with_context(|| format!("cannot rename to {}", part.display()))
}
