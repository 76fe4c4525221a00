//! What a benchmark found: a table for people (Markdown) and for programs (JSON).
//!
//! Depends on std, anyhow and serde_json alone, because `xtask` includes this file by path.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Rows of texts and numbers under the names of their columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    pub(crate) fn push<const N: usize>(&mut self, cells: [Value; N]) {
        self.rows.push(cells.into());
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "title": self.title, "columns": self.columns, "rows": self.rows })
    }

    /// Reads [`Table::to_json`] back.
    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let columns = json["columns"].as_array()?.iter();
        let rows = json["rows"].as_array()?.iter();
        Some(Self {
            title: json["title"].as_str()?.to_owned(),
            columns: columns.map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            rows: rows.map(|row| row.as_array().cloned()).collect::<Option<_>>()?,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let width = |at: usize| {
            let cells = texts.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([self.columns[at].chars().count(), 3]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        writeln!(out, "{}\n", self.title)?;
        line(out, &self.columns, &widths)?;
        let rule = |(at, width): (usize, &usize)| {
            let dashes = "-".repeat(width - 1);
            if at == 0 { format!("-{dashes}") } else { format!("{dashes}:") }
        };
        line(out, &widths.iter().enumerate().map(rule).collect::<Vec<_>>(), &widths)?;
        texts.iter().try_for_each(|row| line(out, row, &widths))
    }
}

/// The first column stands left, numbers stand right.
fn line(out: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if at == 0 {
            write!(out, "| {cell:<width$} ")?;
        } else {
            write!(out, "| {cell:>width$} ")?;
        }
    }
    writeln!(out, "|")
}

fn shown(cell: &Value) -> String {
    match cell {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(number) => thousands(number),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of so many decimals; none make it an integer.
pub(crate) fn rounded(number: f64, decimals: i32) -> Value {
    let scale = 10_f64.powi(decimals);
    let number = (number * scale).round() / scale;
    if decimals == 0 { json!(number as i64) } else { json!(number) }
}

/// The value in the middle; the lower of two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The smallest value that at least this share of the values does not exceed; 0 of no values.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// What a benchmark's program is called with: `[--rows N] [--runs N] [--part NAME] [--json-to FILE]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Args {
    pub(crate) rows: Option<usize>,
    pub(crate) runs: Option<usize>,
    /// The only part to measure, where there are parts.
    pub(crate) part: Option<String>,
    json_to: Option<PathBuf>,
}

impl Args {
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--rows" => parsed.rows = Some(positive(&value()?)?),
                "--runs" => parsed.runs = Some(positive(&value()?)?),
                "--part" => parsed.part = Some(value()?),
                "--json-to" => parsed.json_to = Some(value()?.into()),
                // Cargo says this to every benchmark.
                "--bench" => {}
                other => bail!("unknown argument `{other}`"),
            }
        }
        Ok(parsed)
    }

    /// Prints the tables, or writes them to the file that was asked for.
    pub(crate) fn report(&self, tables: &[Table]) -> Result<()> {
        let Some(path) = &self.json_to else {
            for table in tables {
                println!("{table}");
            }
            return Ok(());
        };
        let json: Vec<_> = tables.iter().map(Table::to_json).collect();
        fs::write(path, json!(json).to_string())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn positive(text: &str) -> Result<usize> {
    match text.replace('_', "").parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => bail!("`{text}` is not a number above 0"),
    }
}

/// Reads the file that [`Args::report`] wrote.
pub(crate) fn read(path: &Path) -> Result<Vec<Table>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let json: Value = serde_json::from_slice(&text)?;
    let tables = json.as_array().context("no list of tables")?.iter();
    tables.map(|table| Table::from_json(table).context("not a table")).collect()
}
