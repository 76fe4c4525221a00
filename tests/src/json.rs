//! JSON as the program and the readers write it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Text of a JSON value; anything else is shown as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A file of one JSON value a line.
pub fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let lines =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |line: &str| {
        serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))
    };
    lines.lines().map(value).collect()
}
