//! All checks and all tests, against real parts, in one command.
//!
//! Quick steps come first. A step runs if the steps that it needs did not fail, so that one run shows
//! as many faults as it can.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::context::Context;
use crate::parts::{self, Parts};
use crate::{build, folder, fuzz, needs, plugins, run, tidy};

mod options;
mod totals;

use options::Options;
use totals::Totals;

/// A step: its name, what it is for, and the steps without which it makes no sense.
struct Step {
    name: &'static str,
    about: &'static str,
    needs: &'static [&'static str],
    work: fn(&mut Run) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", about: "checks the layout of the sources", needs: &[], work: fmt },
    Step {
        name: "tidy",
        about: "checks the rules that no compiler checks",
        needs: &[],
        work: |run| tidy::check(run.ctx),
    },
    Step { name: "deny", about: "checks licences, sources and advisories", needs: &[], work: deny },
    Step {
        name: "plugins",
        about: "builds the components that the program embeds, and those that tests load",
        needs: &[],
        work: |run| plugins::build(run.ctx, None).and_then(|()| plugins::guests(run.ctx, None)),
    },
    Step { name: "clippy", about: "lints all crates", needs: &["plugins"], work: clippy },
    Step {
        name: "unit",
        about: "tests each crate by itself (the first time builds everything)",
        needs: &["plugins"],
        work: unit,
    },
    Step {
        name: "build",
        about: "builds the program for the tests that run it",
        needs: &["plugins"],
        work: |run| build::host(run.ctx),
    },
    Step {
        name: "golden",
        about: "runs the golden cases of our plugins, as the program does before it reloads one",
        needs: &["plugins", "build"],
        work: |run| plugins::golden::check(run.ctx),
    },
    Step {
        name: "fuzz",
        about: "searches for inputs that the code for foreign bytes fails on",
        needs: &["build"],
        work: |run| fuzz::check(run.ctx),
    },
    Step { name: "parts", about: "fetches Kafka and the foreign readers", needs: &[], work: fetch },
    Step {
        name: "flow",
        about: "tests components and the whole flow against real parts",
        needs: &["plugins", "build", "parts"],
        work: flow,
    },
];

/// Tests of the flow that run at a time, on any machine.
const FLOW_THREADS: &str = "3";

/// What the steps share.
struct Run<'a> {
    ctx: &'a Context,
    filters: &'a [String],
    parts: Option<Parts>,
    totals: Totals,
    /// What the step at hand adds to its verdict, for the table.
    note: Option<String>,
}

/// How a step ended, for the table.
struct Row {
    name: &'static str,
    verdict: String,
    time: Duration,
    passed: bool,
}

/// `cargo xtask test [--only a,b | --from a] [filter…]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let names: Vec<&'static str> = STEPS.iter().map(|step| step.name).collect();
    let options = Options::parse(args, &names)?;
    needs::for_build()?;
    let _lock = ctx.lock_target()?;
    let mut run =
        Run { ctx, filters: &options.filters, parts: None, totals: Totals::default(), note: None };
    let mut rows: Vec<Row> = Vec::new();
    for step in STEPS.iter().filter(|step| options.steps.contains(&step.name)) {
        let row = perform(step, &mut run, &rows);
        rows.push(row);
    }
    if !options.filters.is_empty() && run.totals.is_none() {
        bail!("no test has `{}` in its name", options.filters.join("` or `"));
    }
    report(&rows, &run.totals)
}

fn perform(step: &Step, run: &mut Run, before: &[Row]) -> Row {
    let broken = before.iter().find(|row| !row.passed && step.needs.contains(&row.name));
    if let Some(broken) = broken {
        let verdict = format!("not run: {} failed", broken.name);
        return Row { name: step.name, verdict, time: Duration::ZERO, passed: false };
    }
    println!("\n== {}: {}", step.name, step.about);
    let (begin, totals_before) = (Instant::now(), run.totals);
    let result = (step.work)(run);
    let counted = run.totals.since(totals_before);
    if let Err(error) = &result {
        eprintln!("xtask: {}: {error:#}", step.name);
        // A step that failed without a failed test is a failure to count as well.
        if counted.failed == 0 {
            run.totals.failed += 1;
        }
    }
    let mut verdict = String::from(if result.is_ok() { "passed" } else { "FAILED" });
    let counted = (!counted.is_none()).then(|| counted.to_string());
    for detail in counted.into_iter().chain(run.note.take()) {
        verdict = format!("{verdict}: {detail}");
    }
    Row { name: step.name, verdict, time: begin.elapsed(), passed: result.is_ok() }
}

/// The table of steps, and as the last line the totals of all tests plus failed steps without tests.
fn report(rows: &[Row], totals: &Totals) -> Result<()> {
    println!("\n{:<8} {:>9}  result", "step", "time");
    for row in rows {
        println!("{:<8} {:>9}  {}", row.name, run::seconds(row.time), row.verdict);
    }
    let whole: Duration = rows.iter().map(|row| row.time).sum();
    println!("{:<8} {:>9}\n", "all", run::seconds(whole));
    let failed = rows.iter().find(|row| !row.passed);
    if let Some(row) = failed {
        println!("`cargo xtask test --from {}` begins at the first failure", row.name);
    }
    println!("{totals}");
    if failed.is_some() { Err(run::Reported.into()) } else { Ok(()) }
}

fn fmt(run: &mut Run) -> Result<()> {
    run::run(run.ctx.cargo().args(["fmt", "--all", "--check"]))
        .context("`cargo fmt --all` repairs the layout")
}

fn clippy(run: &mut Run) -> Result<()> {
    let mut cargo = run.ctx.cargo();
    cargo.args(["clippy", "--release", "--workspace", "--all-targets", "--locked"]);
    run::run(cargo.args(["--", "-D", "warnings"]))
}

fn deny(run: &mut Run) -> Result<()> {
    tidy::check_foreign(run.ctx)?;
    if !needs::runs("cargo-deny", &["--version"]) {
        let why =
            "advisories not checked: `cargo install --locked cargo-deny` brings the program for it";
        run.note = Some(why.to_owned());
        return Ok(());
    }
    run::run(run.ctx.cargo().args(["deny", "check", "--hide-inclusion-graph"]))
}

fn unit(run: &mut Run) -> Result<()> {
    let mut cargo = run.ctx.cargo();
    cargo.args(["test", "--release", "--locked", "--no-fail-fast", "--workspace"]);
    cargo.args(["--exclude", "audit-tests", "--exclude", "xtask"]);
    tests(run, cargo)?;
    // In the profile of `cargo xtask`: its features would have foreign crates of the program compiled twice.
    let mut cargo = run.ctx.cargo();
    cargo.args(["test", "--locked", "--package", "xtask"]);
    tests(run, cargo)
}

fn fetch(run: &mut Run) -> Result<()> {
    let parts = parts::fetch(run.ctx)?;
    run.note = Some(match parts.cached.as_slice() {
        [] => "all fetched".to_owned(),
        cached => format!("from cache: {}", cached.join(", ")),
    });
    run.parts = Some(parts);
    Ok(())
}

fn flow(run: &mut Run) -> Result<()> {
    let binary = run.ctx.host_binary();
    ensure!(binary.exists(), "{} is not built; run the step `build`", binary.display());
    if run.parts.is_none() {
        fetch(run)?;
    }
    let Some(parts) = &run.parts else { bail!("the parts are not there") };
    let dir = run.ctx.scratch("audit-tests")?;
    let mut cargo = run.ctx.cargo();
    cargo
        .args(["test", "--release", "--locked", "--no-fail-fast", "--test", "end_to_end"])
        // Selected with the program, the tests get its features, and compile no dependency a second time.
        .args(["--package", "audit-host", "--package", "audit-tests"])
        .env("AUDIT_HOST_BIN", run.ctx.host_binary())
        .env("AUDIT_HOST_PLUGINS", run.ctx.plugins())
        .env("AUDIT_HOST_GUESTS", run.ctx.guests())
        .env("AUDIT_HOST_KAFKA_HOME", &parts.kafka.home)
        .env("AUDIT_HOST_JAVA", &parts.kafka.java)
        .env("AUDIT_HOST_PYTHON", &parts.python)
        .env("npm_config_cache", &parts.npm_cache)
        .env("PIP_CACHE_DIR", &parts.pip_cache)
        .env("AUDIT_HOST_TMP", &dir)
        // Most of these tests wait for a broker, a lease or an interval most of the time.
        .env("RUST_TEST_THREADS", FLOW_THREADS);
    let result = tests(run, cargo);
    match &result {
        Ok(()) => folder::remove(&dir)?,
        Err(_) => println!("  what the tests left is in {}", dir.display()),
    }
    result
}

/// Runs `cargo test …`, shows and counts what it prints.
fn tests(run: &mut Run, mut cargo: Command) -> Result<()> {
    if !run.filters.is_empty() {
        cargo.arg("--").args(run.filters);
    }
    let before = run.totals;
    totals::run_counted(&mut cargo, &mut run.totals)?;
    let nothing_ran = run.totals.since(before).is_none();
    ensure!(!nothing_ran || !run.filters.is_empty(), "no test ran");
    Ok(())
}
