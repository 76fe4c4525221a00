//! A folder of the user's cache that is either whole or not there.
//!
//! It is named by the hash of what it was made from. A file `complete` is written when it has passed its check: a
//! folder without one was left by a run that was killed, and is made anew.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::folder;
use crate::plugins::stamp::hex;

/// A part that is whole.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) folder: PathBuf,
    /// Whether an earlier run made it.
    pub(super) is_cached: bool,
}

impl Part {
    /// Takes the folder `<parts>/<name>-<hash of made_from>` from the cache or makes it, then checks it.
    pub(super) fn ensure(
        ctx: &Context,
        name: &'static str,
        made_from: &str,
        make: impl FnOnce(&Path) -> Result<()>,
        check: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let hash = hex(&Sha256::digest(made_from)[..6]);
        let dir = ctx.parts.join(format!("{name}-{hash}"));
        let complete = dir.join("complete");
        let is_cached = complete.exists();
        if !is_cached {
            folder::empty(&dir)?;
            make(&dir)?;
        }
        let checked = check(&dir).with_context(|| {
            format!("{name} in {} does not work: the next run fetches it anew", dir.display())
        });
        if is_cached && checked.is_err() {
            fs::remove_file(&complete)
                .with_context(|| format!("cannot remove {}", complete.display()))?;
        }
        checked?;
        if !is_cached {
            fs::write(&complete, "")
                .with_context(|| format!("cannot write {}", complete.display()))?;
        }
        let origin = if is_cached { "from cache" } else { "fetched into" };
        println!("xtask: {name}: {origin} {}, checked", dir.display());
        Ok(Self { name, folder: dir, is_cached })
    }
}

/// Does the work in an empty folder that is removed afterwards.
pub(super) fn in_scratch(
    ctx: &Context,
    name: &str,
    work: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let dir = ctx.parts.join("scratch").join(name);
    folder::empty(&dir)?;
    work(&dir)?;
    folder::remove(&dir)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    /// A context of which the parts lie in an empty folder.
    fn context(name: &str) -> Context {
        let parts = std::env::temp_dir().join(format!("xtask-parts-{}-{name}", std::process::id()));
        folder::empty(&parts).unwrap();
        Context { root: PathBuf::new(), target: PathBuf::new(), parts }
    }

    fn write(folder: &Path) -> Result<()> {
        Ok(fs::write(folder.join("jar"), "whole")?)
    }

    fn is_whole(folder: &Path) -> Result<()> {
        match fs::read_to_string(folder.join("jar"))?.as_str() {
            "whole" => Ok(()),
            other => bail!("{other}"),
        }
    }

    #[test]
    fn a_part_is_made_once_and_checked_every_time() {
        let ctx = context("once");
        let part = Part::ensure(&ctx, "part", "1", write, is_whole).unwrap();
        assert!(!part.is_cached);
        let never = |_: &Path| bail!("made again");
        assert!(Part::ensure(&ctx, "part", "1", never, is_whole).unwrap().is_cached);
        // Damaged: this run fails, the next one makes it anew.
        fs::write(part.folder.join("jar"), "half").unwrap();
        let error = Part::ensure(&ctx, "part", "1", never, is_whole).err().unwrap();
        assert!(format!("{error:#}").contains("the next run fetches it anew: half"), "{error:#}");
        assert!(!Part::ensure(&ctx, "part", "1", write, is_whole).unwrap().is_cached);
        fs::remove_dir_all(&ctx.parts).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_not_taken_for_whole() {
        let ctx = context("killed");
        let killed = |folder: &Path| {
            fs::write(folder.join("rest"), "")?;
            bail!("killed")
        };
        assert!(Part::ensure(&ctx, "part", "1", killed, is_whole).is_err());
        let unchecked = |_: &Path| bail!("killed");
        assert!(Part::ensure(&ctx, "part", "1", write, unchecked).is_err());
        let part = Part::ensure(&ctx, "part", "1", write, is_whole).unwrap();
        assert!(!part.is_cached && !part.folder.join("rest").exists());
        fs::remove_dir_all(&ctx.parts).unwrap();
    }
}
