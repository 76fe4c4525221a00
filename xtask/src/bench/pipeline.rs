//! The whole program over a topic of Apache Kafka, with and without plugins, round by round.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::options::Options;
use super::process::{self, Usage};
use super::table::{Table, median, rounded};
use crate::context::Context;
use crate::kafka::Kafka;
use crate::{folder, parts, run};

const ROWS: u64 = 1_000_000;
const RUNS: usize = 5;
/// A run that takes longer than this, and longer than the slowest program would, hangs.
const LIMIT: Duration = Duration::from_mins(1);
const ROWS_PER_SECOND_MIN: u64 = 10_000;
const TOPIC: &str = "audit_events";
const TABLE: &str = "demo.audit_trail";

/// All built-in plugins, in the order in which each still sees what it needs.
const ALL: [&str; 8] = [
    "enrich_context",
    "detect_failed_logins",
    "detect_off_hours",
    "detect_ip_spread",
    "detect_privilege_change",
    "detect_unusual_volume",
    "detect_mass_export",
    "redact_pii",
];
/// What those of them need that ask for tables. One of the generated users is an administrator.
const LOOKUPS: &str = "[lookups.roles]\nfile = \"roles.csv\"\nkey = \"user_id\"\n\n";
const ROLES: &str = "user_id,role\nuser_002,admin\nuser_001,data_analyst\nuser_003,data_engineer\n";

/// A chain of plugins to measure, named as `--plugin` takes them.
struct Variant {
    name: &'static str,
    plugins: Vec<String>,
    /// Whether they look things up.
    has_lookups: bool,
}

/// What one run showed.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// By the program's own clock, from connected to the last commit.
    rows_per_second: f64,
    usage: Usage,
}

/// Where the runs take place.
struct Ground<'a> {
    ctx: &'a Context,
    /// A copy: what is built meanwhile changes nothing.
    binary: PathBuf,
    brokers: String,
    n_rows: u64,
}

/// `cargo xtask bench pipeline`
pub(super) fn measure(ctx: &Context, options: &Options) -> Result<Vec<Table>> {
    let (n_rows, n_runs) = (options.rows.unwrap_or(ROWS), options.runs.unwrap_or(RUNS));
    let variants = variants(&ctx.guests().join("copy_column.wasm"));
    let dir = ctx.scratch("bench/pipeline")?;
    let binary = dir.join("audit-host");
    fs::copy(ctx.host_binary(), &binary)
        .with_context(|| format!("cannot copy {}", ctx.host_binary().display()))?;
    let kafka = Kafka::start(&parts::fetch(ctx)?.kafka, &dir.join("kafka"), 0, &[])?;
    let ground = Ground { ctx, binary, brokers: kafka.bootstrap(), n_rows };
    ground.generate()?;
    // Not counted: the broker's first answers are slow until Java has compiled its own code.
    ground.run(&variants[0])?;
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); variants.len()];
    for round in 0..n_runs {
        // Every variant meets every neighbour's leftovers.
        for place in 0..variants.len() {
            let at = (place + round) % variants.len();
            let sample = ground.run(&variants[at])?;
            println!("  round {}, {}: {}", round + 1, variants[at].name, sample.shown(n_rows));
            samples[at].push(sample);
        }
    }
    drop(kafka);
    folder::remove(&dir)?;
    Ok(vec![table(&variants, &samples, n_rows)])
}

fn variants(copy_column: &Path) -> Vec<Variant> {
    let builtin = |name: &str| format!("builtin:{name}");
    let (detect, redact) = (builtin("detect_failed_logins"), builtin("redact_pii"));
    let plain = |name, plugins| Variant { name, plugins, has_lookups: false };
    let all = ALL.iter().map(|name| builtin(name)).collect();
    vec![
        plain("none", Vec::new()),
        plain("copy_column", vec![copy_column.display().to_string()]),
        plain("detect_failed_logins", vec![detect.clone()]),
        plain("redact_pii", vec![redact.clone()]),
        plain("both", vec![detect, redact]),
        Variant { name: "all eight", plugins: all, has_lookups: true },
    ]
}

/// A configuration with the tables; paths in it are relative to the working directory.
fn configuration(variant: &Variant, dir: &Path) -> Result<PathBuf> {
    let mut text = LOOKUPS.replace("roles.csv", &dir.join("roles.csv").display().to_string());
    for plugin in &variant.plugins {
        let _ = writeln!(text, "[[plugin]]\npath = {plugin:?}");
        if plugin.contains("enrich") || plugin.contains("privilege") {
            text.push_str("lookups = [\"roles\"]\nconfig = { roles = \"roles\" }\n");
        }
    }
    fs::write(dir.join("roles.csv"), ROLES)?;
    let path = dir.join("audit-host.toml");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

impl Ground<'_> {
    /// The program, without the user's own settings.
    fn host(&self) -> Command {
        let mut host = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AUDIT_HOST_") {
                host.env_remove(name);
            }
        }
        host
    }

    fn generate(&self) -> Result<()> {
        let mut host = self.host();
        host.args([
            "generate",
            "--to",
            "kafka",
            "--partitions",
            "4",
            "--step",
            "9ms",
            "--seed",
            "1",
        ]);
        host.args(["--count", &self.n_rows.to_string()]);
        run::run(host.args(["--brokers", &self.brokers, "--topic", TOPIC]))
    }

    /// One run into a new table, which is checked and removed.
    fn run(&self, variant: &Variant) -> Result<Sample> {
        let dir = self.ctx.scratch("bench/run")?;
        let log = dir.join("stderr");
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot create {}", path.display()))
        };
        let mut host = self.host();
        host.args(["--until-end", "--brokers", &self.brokers, "--topic", TOPIC, "--table", TABLE]);
        host.arg("--catalog").arg(format!("sqlite:{}", dir.join("catalog.db").display()));
        host.arg("--warehouse").arg(dir.join("warehouse"));
        if variant.has_lookups {
            host.arg("--config").arg(configuration(variant, &dir)?);
        } else {
            host.args(variant.plugins.iter().flat_map(|plugin| ["--plugin", plugin]));
        }
        host.stdin(Stdio::null()).stdout(create(&dir.join("stdout"))?).stderr(create(&log)?);
        let limit = LIMIT + Duration::from_secs(self.n_rows / ROWS_PER_SECOND_MIN);
        let (status, usage) = process::measure(&mut host, limit)?;
        let said = fs::read_to_string(&log).context("cannot read what the program said")?;
        if !status.success() {
            bail!("`{}` ended with {status}:\n{said}", run::shown(&host));
        }
        let done = Done::find(&said).with_context(|| format!("no line `done:` in:\n{said}"))?;
        ensure!(
            done.rows == self.n_rows && done.dead_letters == 0,
            "{}: {} rows and {} dead letters of {} events",
            variant.name,
            done.rows,
            done.dead_letters,
            self.n_rows
        );
        let in_table = rows_in_table(&dir)?;
        ensure!(in_table == self.n_rows, "{}: {in_table} rows in the table", variant.name);
        folder::remove(&dir)?;
        Ok(Sample { rows_per_second: done.rows_per_second, usage })
    }
}

/// The line by which a run says what it did.
#[derive(Debug, PartialEq)]
struct Done {
    rows: u64,
    dead_letters: u64,
    rows_per_second: f64,
}

impl Done {
    /// Reads `done: 5 events in, 5 rows committed in 1 commits, 0 dead letters, 0 alerts, 9 events/s`.
    fn find(said: &str) -> Option<Self> {
        let (_, line) = said.lines().rev().find_map(|line| line.split_once("done: "))?;
        let number = |what: &str| {
            let part = line.split(", ").find(|part| part.contains(what))?;
            part.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self {
            rows: number("rows committed")? as u64,
            dead_letters: number("dead letters")? as u64,
            rows_per_second: number("events/s")?,
        })
    }
}

/// What the table itself says: the summary of its current snapshot.
fn rows_in_table(dir: &Path) -> Result<u64> {
    let folder = dir.join("warehouse").join(TABLE.replace('.', "/")).join("metadata");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    // Names begin with the number of the version, in as many digits each.
    let newest =
        paths.iter().filter(|path| path.to_string_lossy().ends_with(".metadata.json")).max();
    let newest = newest.with_context(|| format!("no metadata in {}", folder.display()))?;
    let metadata: Value = serde_json::from_slice(&fs::read(newest)?)?;
    let snapshots = metadata["snapshots"].as_array().context("no snapshots in the metadata")?;
    let current = &metadata["current-snapshot-id"];
    let current = snapshots.iter().find(|snapshot| snapshot["snapshot-id"] == *current);
    let total = current.and_then(|snapshot| snapshot["summary"]["total-records"].as_str());
    total.and_then(|rows| rows.parse().ok()).context("no total-records in the current snapshot")
}

impl Sample {
    fn shown(&self, n_rows: u64) -> String {
        format!(
            "{:.0} rows/s, {:.2} CPU-s per million rows, {:.0} MiB",
            self.rows_per_second,
            self.cpu_per_million(n_rows),
            self.peak_mib()
        )
    }

    fn cpu_per_million(&self, n_rows: u64) -> f64 {
        self.usage.cpu.as_secs_f64() * 1e6 / n_rows as f64
    }

    fn peak_mib(&self) -> f64 {
        self.usage.peak_rss_bytes as f64 / f64::from(1 << 20)
    }
}

fn table(variants: &[Variant], samples: &[Vec<Sample>], n_rows: u64) -> Table {
    let n_runs = samples[0].len();
    let title = format!(
        "{n_rows} events in 4 partitions of Apache Kafka on the same machine, medians of {n_runs} rounds"
    );
    let columns = [
        "plugins",
        "rows/s",
        "lowest to highest",
        "rows/s of the whole process",
        "CPU-s per million rows",
        "peak RSS, MiB",
        "rows/s to none",
        "CPU to none",
    ];
    let mut table = Table::new(title, &columns);
    for (variant, runs) in variants.iter().zip(samples) {
        let of = |figure: &dyn Fn(&Sample) -> f64| median(runs.iter().map(figure));
        // Neighbours in time are compared, so that a busy minute harms both.
        let to_none = |figure: &dyn Fn(&Sample) -> f64| {
            median(runs.iter().zip(&samples[0]).map(|(run, none)| figure(run) / figure(none)))
        };
        let rate = |run: &Sample| run.rows_per_second;
        let cpu = |run: &Sample| run.cpu_per_million(n_rows);
        let lowest = runs.iter().map(rate).fold(f64::INFINITY, f64::min);
        let highest = runs.iter().map(rate).fold(0.0, f64::max);
        table.push([
            json!(variant.name),
            rounded(of(&rate), 0),
            json!(format!("{:.0} to {:.0} k", lowest / 1e3, highest / 1e3)),
            rounded(of(&|run| n_rows as f64 / run.usage.wall.as_secs_f64()), 0),
            rounded(of(&cpu), 2),
            rounded(of(&Sample::peak_mib), 0),
            rounded(to_none(&rate), 3),
            rounded(to_none(&cpu), 3),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_of_the_end() {
        let said = "INFO done-so-far 1\n2026 INFO done: 12 events in, 11 rows committed in 2 commits, \
                    1 dead letters, 3 alerts, 412345 events/s\n";
        let expected = Done { rows: 11, dead_letters: 1, rows_per_second: 412_345.0 };
        assert_eq!(Done::find(said), Some(expected));
        assert_eq!(Done::find("running"), None);
    }
}
