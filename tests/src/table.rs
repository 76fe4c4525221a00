//! Tables as PyIceberg and DuckDB see them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::case::json_lines;
use crate::env;

/// The name under which the program registers its tables.
const CATALOG_NAME: &str = "audit_host";

/// Reads tables of one catalog.
#[derive(Debug)]
pub struct Reader {
    catalog: PathBuf,
    warehouse: PathBuf,
    dir: PathBuf,
}

/// What both readers say of one table: the JSON of `readers/read_table.py`.
#[derive(Debug)]
pub struct Reading(pub Value);

impl Reader {
    /// `dir` is for its own files.
    pub fn new(catalog: &Path, warehouse: &Path, dir: &Path) -> Self {
        Self { catalog: catalog.into(), warehouse: warehouse.into(), dir: dir.into() }
    }

    /// Counts, properties, snapshots.
    pub fn read(&self, table: &str) -> Result<Reading> {
        self.call(table, &[])
    }

    /// What the manifests say, without a look into the data files: for tables of many files.
    pub fn manifests(&self, table: &str) -> Result<Reading> {
        self.call(table, &["--no-scan"])
    }

    /// As [`Reader::read`], and how often each line of a file stands in a column of text.
    pub fn grep(&self, table: &str, needles: &Path) -> Result<Reading> {
        self.call(table, &["--grep-file", &needles.display().to_string()])
    }

    /// As [`Reader::read`], and these columns of every row.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Result<(Reading, Vec<Value>)> {
        let out = self.dir.join(format!("{table}.jsonl"));
        let columns = columns.join(",");
        let args = ["--dump", &columns, "--out", &out.display().to_string()];
        Ok((self.call(table, &args)?, json_lines(&out)?))
    }

    /// Where each row came from: (partition, offset), in the order of the table.
    pub fn origins(&self, table: &str) -> Result<(Reading, Vec<(i64, i64)>)> {
        let (reading, rows) = self.rows(table, &["source_partition", "source_offset"])?;
        let number = |value: &Value| value.as_i64().context("a row without its origin");
        let origin =
            |row: &Value| Ok((number(&row["source_partition"])?, number(&row["source_offset"])?));
        Ok((reading, rows.iter().map(origin).collect::<Result<_>>()?))
    }

    fn call(&self, table: &str, args: &[&str]) -> Result<Reading> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/read_table.py");
        let output = Command::new(env::python()?)
            .arg(script)
            .args(["--catalog-name", CATALOG_NAME, "--table", table, "--catalog-db"])
            .arg(&self.catalog)
            .arg("--warehouse")
            .arg(&self.warehouse)
            .args(args)
            .output()
            .context("cannot start the readers")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "reading {table}: {}\n{said}", output.status);
        let reading = serde_json::from_slice(&output.stdout);
        Ok(Reading(reading.with_context(|| format!("what the readers say of {table}"))?))
    }
}

impl Reading {
    /// A number that PyIceberg and DuckDB must agree on.
    pub fn agreed(&self, what: &str) -> Result<u64> {
        let (ours, theirs) = (&self.0["pyiceberg"][what], &self.0["duckdb"][what]);
        ensure!(ours == theirs, "{what}: PyIceberg says {ours}, DuckDB {theirs}");
        ours.as_u64().with_context(|| format!("{what} is {ours}"))
    }

    pub fn n_rows(&self) -> Result<u64> {
        self.agreed("rows")
    }

    /// A table property, if it is set.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.0["properties"][name].as_str()
    }

    /// Table properties whose names begin so.
    pub fn properties_like(&self, prefix: &str) -> Vec<&str> {
        let all = self.0["properties"].as_object().into_iter().flatten();
        all.map(|(name, _)| name.as_str()).filter(|name| name.starts_with(prefix)).collect()
    }

    /// The summary of every snapshot, oldest first.
    pub fn summaries(&self) -> &[Value] {
        self.0["summaries"].as_array().map_or(&[], Vec::as_slice)
    }
}
