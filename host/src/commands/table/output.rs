//! What the commands print, and call what they do.

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What every error of the table is about.
pub(super) const READING: &str = "reading the table";

/// One JSON object per line.
pub(super) fn json_lines(values: &[impl Serialize]) -> Result<String> {
    let mut lines = String::new();
    for value in values {
        lines.push_str(&serde_json::to_string(value).context("writing JSON")?);
        lines.push('\n');
    }
    Ok(lines)
}
