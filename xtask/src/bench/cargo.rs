//! Benchmarks that are programs of their own, run by `cargo bench`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::options::Options;
use super::table::{self, Table, rounded};
use crate::context::Context;
use crate::{folder, parts, run};

/// `cargo xtask bench parquet`
pub(super) fn parquet(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    let dir = ctx.scratch("bench/parquet")?;
    of_tests(ctx, options, "parquet", &dir, &[])
}

/// `cargo xtask bench commits`
pub(super) fn commits(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    let dir = ctx.scratch("bench/commits")?;
    of_package(ctx, options, ("audit-sink", "commits"), &dir, &[])
}

/// `cargo xtask bench plugin`
pub(super) fn plugin(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    let dir = ctx.scratch("bench/plugin")?;
    let env = [
        ("AUDIT_HOST_GUESTS", ctx.guests()),
        // Languages that are not on this machine are not in it, and their rows not in the tables.
        ("AUDIT_HOST_TEMPLATES", ctx.templates()),
    ];
    let env: Vec<(&str, &Path)> = env.iter().map(|(name, path)| (*name, path.as_path())).collect();
    of_tests(ctx, options, "plugin", &dir, &env)
}

/// `cargo xtask bench freshness`
pub(super) fn freshness(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    with_kafka(ctx, options, "freshness")
}

/// `cargo xtask bench memory`
pub(super) fn memory(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    with_kafka(ctx, options, "memory")
}

/// Runs a benchmark that drives the program over a broker of its own.
fn with_kafka(ctx: &Context, options: &Options, bench: &str) -> Result<Vec<Table>> {
    let kafka = parts::fetch(ctx)?.kafka;
    let dir = ctx.scratch(&format!("bench/{bench}"))?;
    let env = [
        ("AUDIT_HOST_BIN", ctx.host_binary()),
        ("AUDIT_HOST_KAFKA_HOME", kafka.home),
        ("AUDIT_HOST_JAVA", kafka.java),
    ];
    let env: Vec<(&str, &Path)> = env.iter().map(|(name, path)| (*name, path.as_path())).collect();
    of_tests(ctx, options, bench, &dir, &env)
}

/// Runs one of `tests/benches` in a folder of its own, and reads the tables that it writes.
fn of_tests(
    ctx: &Context,
    options: &Options,
    bench: &str,
    dir: &Path,
    env: &[(&str, &Path)],
) -> Result<Vec<Table>> {
    of_package(ctx, options, ("audit-tests", bench), dir, env)
}

fn of_package(
    ctx: &Context,
    options: &Options,
    (package, bench): (&str, &str),
    dir: &Path,
    env: &[(&str, &Path)],
) -> Result<Vec<Table>> {
    let tables = dir.join("tables.json");
    let mut cargo = ctx.cargo();
    // Selected with the program for its features: no dependency is compiled a second time.
    cargo.args(["bench", "--locked", "--package", "audit-host", "--package", package]);
    cargo.args(["--bench", bench, "--"]);
    cargo.arg("--json-to").arg(&tables);
    if let Some(rows) = options.rows {
        cargo.args(["--rows", &rows.to_string()]);
    }
    if let Some(runs) = options.runs {
        cargo.args(["--runs", &runs.to_string()]);
    }
    if let Some(part) = &options.part {
        cargo.args(["--part", part]);
    }
    cargo.env("AUDIT_HOST_TMP", dir).env("AUDIT_HOST_PLUGINS", ctx.plugins());
    run::run(cargo.envs(env.iter().copied()))?;
    let tables = table::read(&tables)?;
    folder::remove(dir)?;
    Ok(tables)
}

/// `cargo xtask bench decode`
pub(super) fn decode(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    let mut cargo = ctx.cargo();
    cargo.args(["bench", "--locked", "--package", "audit-decode", "--bench", "decode"]);
    if let Some(rows) = options.rows {
        cargo.args(["--", "--rows", &rows.to_string()]);
    }
    let said = shown_and_kept(&mut cargo)?;
    let about = said.iter().find(|line| line.contains(" events, ")).map_or("", String::as_str);
    let title = format!("One thread; {about}; medians of seven rounds");
    let mut table = Table::new(title, &["decoder", "ns/row", "MB/s"]);
    for line in &said {
        if let Some((name, ns, megabytes)) = rate(line) {
            table.push([json!(name), rounded(ns, 0), rounded(megabytes, 0)]);
        }
    }
    Ok(vec![table])
}

/// Reads `NAME   310 ns/row   1515 MB/s`.
fn rate(line: &str) -> Option<(&str, f64, f64)> {
    let (head, megabytes) = line.strip_suffix(" MB/s")?.split_once(" ns/row ")?;
    let (name, ns) = head.trim_end().rsplit_once(' ')?;
    Some((name.trim(), ns.parse().ok()?, megabytes.trim().parse().ok()?))
}

/// Runs to the end, passes on what is printed, and keeps it.
fn shown_and_kept(command: &mut Command) -> Result<Vec<String>> {
    let line = run::shown(command);
    println!("  $ {line}");
    let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("no output of the child")?;
    let mut lines = Vec::new();
    for text in BufReader::new(output).lines() {
        let text = text.with_context(|| format!("cannot read the output of `{line}`"))?;
        println!("{text}");
        lines.push(text);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_the_decoder() {
        let line = "serde_json + text columns       978 ns/row     517 MB/s";
        assert_eq!(rate(line), Some(("serde_json + text columns", 978.0, 517.0)));
        assert_eq!(rate("ratio: 3.1"), None);
    }
}
