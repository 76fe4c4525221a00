//! Runs the targets of `fuzz/`, each for a while, and first the one that must fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::context::Context;
use crate::{folder, needs, run};

#[path = "../../plugins/redact-pii/tests/plugin/costly.rs"]
#[allow(dead_code, reason = "shared: the seeds are a part of it")]
mod costly;

/// `canary` is none of them.
const TARGETS: [&str; 3] = ["lift", "decode", "redact"];
/// A panic is found in it, or the others prove nothing.
const CANARY: &str = "canary";
/// It takes less than one.
const CANARY_SECONDS: u32 = 60;
/// For one target, unless `--seconds` says otherwise.
const SECONDS: u32 = 60;
/// What a target says of the input that took longest for its length.
const WORST: &str = "worst so far: ";
/// An input that takes longer is a failure.
const INPUT_SECONDS_MAX: u32 = 10;
const MEMORY_MIB_MAX: u32 = 2048;
const INPUT_BYTES_MAX: u32 = 4096;

/// `cargo xtask fuzz [TARGET…] [--seconds N]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let (names, seconds) = parse(args)?;
    needs::for_build()?;
    let _lock = ctx.lock_target()?;
    build(ctx)?;
    check_canary(ctx)?;
    names.iter().try_for_each(|name| search(ctx, name, seconds))
}

/// All targets, for the step of `cargo xtask test`. The caller holds the lock of the target folder.
pub(crate) fn check(ctx: &Context) -> Result<()> {
    build(ctx)?;
    check_canary(ctx)?;
    TARGETS.iter().try_for_each(|name| search(ctx, name, SECONDS))
}

fn parse(args: &[String]) -> Result<(Vec<&'static str>, u32)> {
    let (mut names, mut seconds) = (Vec::new(), SECONDS);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let Some(number) = args.next().and_then(|number| number.parse().ok()) else {
                return run::usage("--seconds needs a number".into());
            };
            seconds = number;
        } else if let Some(name) = TARGETS.into_iter().find(|name| name == arg) {
            names.push(name);
        } else {
            return run::usage(format!("no target `{arg}`; available: {}", TARGETS.join(", ")));
        }
    }
    if names.is_empty() {
        names = TARGETS.to_vec();
    }
    Ok((names, seconds))
}

fn build(ctx: &Context) -> Result<()> {
    let mut cargo = ctx.cargo();
    // Selected with the program for its features: no dependency is compiled a second time.
    cargo.args(["build", "--release", "--locked", "--package", "audit-host"]);
    cargo.args(["--package", "audit-fuzz", "--features", "audit-fuzz/run"]);
    for name in TARGETS.into_iter().chain([CANARY]) {
        cargo.arg("--bin").arg(program(name));
    }
    cargo.env("RUSTC_WORKSPACE_WRAPPER", ctx.root.join("fuzz/rustc.sh"));
    run::step("fuzz", "builds the targets", || run::run(&mut cargo))
}

fn program(target: &str) -> String {
    format!("fuzz-{target}")
}

fn check_canary(ctx: &Context) -> Result<()> {
    run::step("fuzz", "looks for the panic of `canary`, to see that panics are found", || {
        let dir = ctx.scratch("fuzz/canary")?;
        let ended = search_in(ctx, CANARY, &dir, CANARY_SECONDS)?;
        ensure!(ended.has_failed, "the panic was not found: no other target proves anything");
        ensure!(ended.said.contains("the canary sings"), "it ended otherwise:\n{}", ended.said);
        folder::remove(&dir)
    })
}

fn search(ctx: &Context, target: &str, seconds: u32) -> Result<()> {
    let seeds = seeds(ctx, target)?;
    let about = format!("searches for inputs that `{target}` fails on, for {seconds} s");
    run::step("fuzz", &about, || {
        let dir = ctx.target.join("tmp/fuzz").join(target);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        for (n, seed) in seeds.iter().enumerate() {
            let path = dir.join(format!("seed-{n}"));
            fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let ended = search_in(ctx, target, &dir, seconds)?;
        if ended.has_failed {
            bail!("`{target}` failed; the input is named below\n{}", ended.said.trim_end());
        }
        ensure!(ended.n_inputs > seeds.len() as u64, "no input was tried:\n{}", ended.said);
        println!("  {} inputs, {} kept in {}", ended.n_inputs, n_files(&dir)?, dir.display());
        if let Some(line) = ended.said.lines().rfind(|line| line.starts_with(WORST)) {
            println!("  {line}");
        }
        Ok(())
    })
}

struct Ended {
    has_failed: bool,
    said: String,
    n_inputs: u64,
}

/// Runs a target on the inputs of a folder and what it makes of them. What it finds is kept there.
fn search_in(ctx: &Context, target: &str, dir: &Path, seconds: u32) -> Result<Ended> {
    let failures = ctx.scratch(&format!("fuzz-failures/{target}"))?;
    let mut fuzzer = Command::new(ctx.target.join("release").join(program(target)));
    fuzzer.arg(dir).stdin(Stdio::null());
    fuzzer.arg(format!("-max_total_time={seconds}"));
    fuzzer.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    fuzzer.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    fuzzer.arg(format!("-max_len={INPUT_BYTES_MAX}"));
    fuzzer.arg(format!("-artifact_prefix={}/", failures.display()));
    fuzzer.args(["-print_final_stats=1", "-verbosity=0"]);
    let line = run::shown(&fuzzer);
    println!("  $ {line}");
    let output = fuzzer.output().with_context(|| format!("cannot start `{line}`"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Ended { has_failed: !output.status.success(), n_inputs: n_inputs(&said), said })
}

/// Reads `stat::number_of_executed_units: 12345`.
fn n_inputs(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn n_files(dir: &Path) -> Result<usize> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    Ok(entries.count())
}

/// The inputs that the search begins with.
fn seeds(ctx: &Context, target: &str) -> Result<Vec<Vec<u8>>> {
    match target {
        "lift" => Ok(seeds_of_lift()),
        "decode" => seeds_of_decode(ctx),
        "redact" => {
            Ok(costly::FOUND.iter().map(|found| found.recipe().to_bytes(found.case)).collect())
        }
        _ => bail!("`{target}` has no seeds"),
    }
}

/// A column of each type with three rows, as `audit_chain::fuzz::lift_column` reads them.
fn seeds_of_lift() -> Vec<Vec<u8>> {
    const ROWS: u8 = 3;
    // A list is its length and its items; of offsets each is two more than its value.
    let text: &[u8] = &[4, 2, 3, 4, 5, 3, b'a', b'b', b'c'];
    let numbers: &[u8] = &[3, 2, 3, 255, 0, 0, 0, 128];
    let values = [text, numbers, numbers, numbers, &[1, 0b101], numbers];
    let mut seeds = Vec::new();
    for (kind, values) in (0..).zip(values) {
        seeds.push([&[ROWS, 0, kind], values].concat());
        // The same with validity: one byte, the middle row is null.
        seeds.push([&[ROWS, 1, 1, 0b101, kind], values].concat());
    }
    seeds
}

/// The events of the examples, and payloads that are none.
fn seeds_of_decode(ctx: &Context) -> Result<Vec<Vec<u8>>> {
    let others: [&[u8]; 6] = [
        b"{}",
        b"[1, null, \"\\ud83d\\ude00\"]",
        b"{\"event_timestamp\": \"2024-02-29T23:59:60+14:00\", \"action_type\": \"\\u0000\"}",
        b"{\"action_type\": \"a\", \"action_type\": 1e400}",
        b"{\"details\": {\"a\": [{\"b\": \"\\\"\"}]}}\0{\"event_timestamp\": -1}",
        b"\xff\xfe{",
    ];
    let mut seeds: Vec<Vec<u8>> = others.iter().map(|seed| seed.to_vec()).collect();
    let examples = ctx.root.join("examples");
    let entries =
        fs::read_dir(&examples).with_context(|| format!("cannot read {}", examples.display()))?;
    for entry in entries {
        let input: PathBuf = entry?.path().join("input.jsonl");
        let text = fs::read_to_string(&input).unwrap_or_default();
        seeds.extend(text.lines().map(|line| line.as_bytes().to_vec()));
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_choose_targets_and_time() {
        let parsed = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            parse(&args).ok()
        };
        assert_eq!(parsed(&[]), Some((vec!["lift", "decode", "redact"], SECONDS)));
        assert_eq!(parsed(&["decode", "--seconds", "5"]), Some((vec!["decode"], 5)));
        assert_eq!(parsed(&["nothing"]), None);
        assert_eq!(parsed(&["--seconds"]), None);
    }

    #[test]
    fn the_number_of_inputs_is_read() {
        assert_eq!(n_inputs("#2\nstat::number_of_executed_units: 1234\nstat::x: 9\n"), 1234);
        assert_eq!(n_inputs("nothing"), 0);
    }
}
