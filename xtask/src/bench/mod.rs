//! Measures the program and its parts, each beside what it is to be compared with.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::context::Context;
use crate::{build, needs, plugins, run};

mod cargo;
mod machine;
mod options;
mod pipeline;
mod process;

#[path = "../../../tests/benches/table.rs"]
#[allow(dead_code, reason = "shared with the benchmarks, which use other parts of it")]
mod table;

use machine::Machine;
use options::Options;
use table::Table;

/// A benchmark and what it measures.
struct Bench {
    name: &'static str,
    about: &'static str,
    needs: Needs,
    work: fn(&Context, &Options) -> Result<Vec<Table>>,
}

/// What must be built, beside plugins and guests.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    /// The program itself.
    Host,
    /// The program, and what it makes of its templates.
    Templates,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "pipeline",
        about: "runs the program over a topic of Apache Kafka, with and without plugins",
        needs: Needs::Host,
        work: pipeline::measure,
    },
    Bench {
        name: "freshness",
        about: "measures the time from produce to visible in the table, event by event",
        needs: Needs::Host,
        work: cargo::freshness,
    },
    Bench {
        name: "memory",
        about: "measures the peak memory of the program over topics of several shapes",
        needs: Needs::Host,
        work: cargo::memory,
    },
    Bench {
        name: "decode",
        about: "measures JSON to columns, beside serde_json",
        needs: Needs::Nothing,
        work: cargo::decode,
    },
    Bench {
        name: "parquet",
        about: "measures rows to files by partition, beside a plain Parquet writer",
        needs: Needs::Nothing,
        work: cargo::parquet,
    },
    Bench {
        name: "commits",
        about: "measures what a commit costs after many others: time, memory, disk",
        needs: Needs::Nothing,
        work: cargo::commits,
    },
    Bench {
        name: "plugin",
        about: "measures what plugins cost: by themselves, beside native code, when they fail",
        needs: Needs::Templates,
        work: cargo::plugin,
    },
];

/// Benchmarks that take `--part`.
const HAVE_PARTS: [&str; 2] = ["memory", "plugin"];

/// `cargo xtask bench NAME [--rows N] [--runs N] [--part NAME] [--json FILE] [--no-build]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == options.name) else {
        let names: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        return run::usage(format!(
            "no benchmark `{}`; available: {}",
            options.name,
            names.join(", ")
        ));
    };
    if options.part.is_some() && !HAVE_PARTS.contains(&bench.name) {
        return run::usage(format!("only these benchmarks have parts: {}", HAVE_PARTS.join(", ")));
    }
    needs::for_build()?;
    let _alone = lock(ctx)?;
    if options.build {
        let _lock = ctx.lock_target()?;
        plugins::build(ctx, None)?;
        plugins::guests(ctx, None)?;
        if bench.needs != Needs::Nothing {
            build::host(ctx)?;
        }
        if bench.needs == Needs::Templates {
            plugins::templates::build(ctx)?;
        }
    }
    // Building leaves the machine warm, and the load average says so: only then is it read.
    let machine = Machine::look(ctx)?;
    machine.warn_if_busy();
    let tables = run::step("bench", bench.about, || (bench.work)(ctx, &options))?;
    report(bench.name, args, &machine, &tables, options.json.as_ref())
}

/// Held while figures are taken: two benchmarks at once would measure each other.
fn lock(ctx: &Context) -> Result<File> {
    let dir = ctx.target.join("tmp/bench");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            run::usage("another benchmark runs: the figures of both would be wrong".into())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn report(
    name: &str,
    args: &[String],
    machine: &Machine,
    tables: &[Table],
    json_to: Option<&PathBuf>,
) -> Result<()> {
    let command = format!("cargo xtask bench {}", args.join(" "));
    println!("\n{machine}\nCommand: `{command}`\n");
    for table in tables {
        println!("{table}");
    }
    let Some(path) = json_to else { return Ok(()) };
    let report = json!({
        "bench": name,
        "command": command,
        "machine": machine.to_json(),
        "tables": tables.iter().map(Table::to_json).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&report)?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}
