//! The pattern's own SQL on the same rows, in DuckDB.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::finding::Finding;
use super::stream::Stream;

/// How to run the SQL.
#[derive(Debug, Clone)]
pub struct Sql {
    /// A Python with DuckDB.
    pub python: PathBuf,
    /// A folder for the rows.
    pub folder: PathBuf,
}

impl Sql {
    pub(super) fn run(&self, stream: &Stream) -> Result<Vec<Finding>> {
        let file = stream.file.as_deref().context("the stream was not written for SQL")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/run.py");
        let output = Command::new(&self.python).arg(&script).arg(file).output();
        let output = output.with_context(|| format!("cannot run {}", self.python.display()))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{} ended with {}: {stderr}",
            script.display(),
            output.status
        );
        std::fs::remove_file(file)?;
        let lines = String::from_utf8(output.stdout)?;
        let finding = |line| serde_json::from_str(line).with_context(|| format!("finding {line}"));
        lines.lines().map(finding).collect()
    }
}
