//! Tables as PyIceberg and DuckDB see them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::env;
use crate::json::json_lines;

/// The name under which the program registers its tables.
pub const CATALOG_NAME: &str = "audit_host";

/// Reads tables of one catalog.
#[derive(Debug)]
pub struct Reader {
    catalog: PathBuf,
    warehouse: PathBuf,
    dir: PathBuf,
}

/// What both readers report of one table: the JSON of `readers/read_table.py`.
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

    /// What the manifests say, without reading the data files: for tables of many files.
    pub fn manifests(&self, table: &str) -> Result<Reading> {
        self.call(table, &["--no-scan"])
    }

    /// As [`Reader::read`], and how often each line of a file occurs in a column of text.
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

    /// [`Reader::origins`] of a table that also has rows of the host itself, which come from no record.
    pub fn record_origins(&self, table: &str) -> Result<Vec<(i64, i64)>> {
        let columns = ["source_partition", "source_offset", "user_id"];
        let (_, rows) = self.rows(table, &columns)?;
        let is_record =
            |row: &&Value| !row["source_partition"].is_null() || row["user_id"] != "audit-host";
        let number = |value: &Value| value.as_i64().context("a row without its origin");
        let origin =
            |row: &Value| Ok((number(&row["source_partition"])?, number(&row["source_offset"])?));
        rows.iter().filter(is_record).map(origin).collect()
    }

    /// Changes a table as a foreign client of its catalog does: `readers/change_table.py`.
    pub fn change(&self, table: &str, args: &[&str]) -> Result<()> {
        self.run("change_table.py", table, args)?;
        Ok(())
    }

    fn call(&self, table: &str, args: &[&str]) -> Result<Reading> {
        let reading = serde_json::from_slice(&self.run("read_table.py", table, args)?);
        Ok(Reading(reading.with_context(|| format!("what the readers say of {table}"))?))
    }

    /// Runs a script on a table; what it printed.
    fn run(&self, script: &str, table: &str, args: &[&str]) -> Result<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers");
        let output = Command::new(env::python()?)
            .arg(folder.join(script))
            .args(["--catalog-name", CATALOG_NAME, "--table", table, "--catalog-db"])
            .arg(&self.catalog)
            .arg("--warehouse")
            .arg(&self.warehouse)
            .args(args)
            .output()
            .context("cannot start the readers")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script} of {table}: {}\n{said}", output.status);
        Ok(output.stdout)
    }
}

impl Reading {
    /// What the readers say of the table as a whole; an error if they do not.
    pub fn field(&self, name: &str) -> Result<&Value> {
        let value = &self.0[name];
        ensure!(!value.is_null(), "the readers do not report {name:?}");
        Ok(value)
    }

    /// What PyIceberg and DuckDB must agree on, and both report.
    pub fn both(&self, what: &str) -> Result<&Value> {
        let (pyiceberg, duckdb) = (&self.0["pyiceberg"][what], &self.0["duckdb"][what]);
        ensure!(pyiceberg == duckdb, "{what}: PyIceberg reads {pyiceberg}, DuckDB {duckdb}");
        ensure!(!pyiceberg.is_null(), "the readers do not report {what:?}");
        Ok(pyiceberg)
    }

    /// A number of [`Reading::both`].
    pub fn agreed(&self, what: &str) -> Result<u64> {
        let value = self.both(what)?;
        value.as_u64().with_context(|| format!("{what} is {value}"))
    }

    pub fn n_rows(&self) -> Result<u64> {
        self.agreed("rows")
    }

    /// A table property, if it is set.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.0["properties"][name].as_str()
    }

    /// The properties `audit-host.<group>..pending.<epoch>` of every group: epochs that are committed, and
    /// whose alerts and dead letters may still be on their way.
    pub fn pending(&self) -> Result<Vec<&str>> {
        let all = self.field("properties")?.as_object().context("properties are no object")?;
        let is_pending =
            |name: &&str| name.starts_with("audit-host.") && name.contains("..pending.");
        Ok(all.keys().map(String::as_str).filter(is_pending).collect())
    }

    /// The summary of every snapshot, oldest first.
    pub fn summaries(&self) -> &[Value] {
        self.0["summaries"].as_array().map_or(&[], Vec::as_slice)
    }
}
