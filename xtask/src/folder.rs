//! Folders for work that begins from nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Makes the folder, without what an earlier run left in it.
pub(crate) fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        remove(dir)?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

pub(crate) fn remove(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}
