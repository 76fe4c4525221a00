//! No built or bulky file is committed: what is built is built from what is here.

use std::fs;

use anyhow::{Context as _, Result};

use super::tree::{Failure, Tree};

const ENDINGS: &[&str] = &[".wasm", ".jar", ".so", ".a", ".class", ".parquet"];
const BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn check(tree: &Tree) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for file in &tree.files {
        let fact = fs::metadata(tree.root.join(file));
        let n_bytes = fact.with_context(|| format!("cannot read {file}"))?.len();
        let what = if ENDINGS.iter().any(|ending| file.ends_with(ending)) {
            "a built file".to_owned()
        } else if n_bytes > BYTES_MAX {
            format!("{n_bytes} bytes, allowed are {BYTES_MAX}")
        } else {
            continue;
        };
        failures.push(Failure {
            rule: "binaries",
            file: file.clone(),
            line: 1,
            what,
            todo: "remove it from git and let xtask make or fetch it",
        });
    }
    Ok(failures)
}
