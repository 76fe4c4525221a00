//! Skips the build of plugins whose inputs are unchanged and whose files are as they were left.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const STAMP: &str = ".stamp.json";

/// One hash of the names and bytes of all inputs and of the tool chain.
pub(super) fn of_inputs(root: &Path, inputs: &[&str], toolchain: &str) -> Result<String> {
    let mut files = Vec::new();
    for input in inputs {
        collect(&root.join(input), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    hash.update(toolchain);
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(file.strip_prefix(root).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

/// Whether the last build had these inputs and its files are still what it wrote. Says so if it is.
pub(super) fn is_current(dir: &Path, inputs: &str) -> bool {
    let is_current = has_built(dir, inputs);
    if is_current {
        println!("  nothing changed since the last build");
    }
    is_current
}

fn has_built(dir: &Path, inputs: &str) -> bool {
    let Ok(text) = fs::read(dir.join(STAMP)) else { return false };
    let Ok(stamp) = serde_json::from_slice::<Value>(&text) else { return false };
    let files = stamp["files"].as_object();
    stamp["inputs"] == inputs
        && files.is_some_and(|files| {
            files
                .iter()
                .all(|(name, hash)| hash_file(&dir.join(name)).is_ok_and(|now| *hash == now))
        })
}

pub(super) fn write(dir: &Path, inputs: &str, files: &[PathBuf]) -> Result<()> {
    let mut hashes = serde_json::Map::new();
    for file in files {
        let name = file.file_name().context("a component without a name")?;
        hashes.insert(name.to_string_lossy().into_owned(), hash_file(file)?.into());
    }
    let path = dir.join(STAMP);
    let text = json!({ "inputs": inputs, "files": hashes }).to_string();
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn hash_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        if entry.file_name() != "target" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
