//! How well the built-in plugins find what they are for: scores on labelled data.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::kafka::Kafka;
use crate::{build, folder, needs, parts, plugins, run};

/// What can be scored.
const PARTS: [&str; 2] = ["detection", "pii"];
/// Options with a value, for the detection through Kafka only.
const THROUGH_KAFKA_OPTIONS: [&str; 3] = ["--rows", "--seeds", "--partitions"];

#[derive(Debug, Default, PartialEq)]
struct Options {
    parts: Vec<&'static str>,
    /// On the data that may be looked at, with what went wrong.
    is_tuning: bool,
    /// Through a real broker and the real program, instead of natively.
    is_through_kafka: bool,
    /// What is passed on.
    rest: Vec<String>,
}

/// `cargo xtask eval [detection|pii] [--tuning] [--through-kafka [--rows N] [--seeds A,B] [--partitions A,B]]`
pub(crate) fn main(ctx: &Context, args: &[String]) -> Result<()> {
    let options = parse(args)?;
    needs::for_build()?;
    if options.is_through_kafka {
        return through_kafka(ctx, &options);
    }
    for part in options.parts {
        let mut cargo = evaluate(ctx, part);
        if part == "detection" {
            let python = parts::python(ctx)?;
            cargo.env("AUDIT_HOST_PYTHON", python).env("AUDIT_HOST_TMP", dir(ctx)?);
        }
        cargo.args(options.is_tuning.then_some("--tuning"));
        run::step("eval", "scores the plugins on labelled data", || run::run(&mut cargo))?;
    }
    Ok(())
}

/// The detectors in the built program, behind a node of Apache Kafka of its own.
fn through_kafka(ctx: &Context, options: &Options) -> Result<()> {
    let _lock = ctx.lock_target()?;
    plugins::build(ctx, None)?;
    build::host(ctx)?;
    let kafka = parts::fetch(ctx)?.kafka;
    let dir = ctx.scratch("eval/through-kafka")?;
    let about =
        "scores the detectors through Kafka (with the usual options 5 to 10 minutes on two cores)";
    run::step("eval", about, || {
        let node = Kafka::start(&kafka, &dir.join("kafka"), 0, &[("log.retention.ms", "-1")])?;
        let mut cargo = evaluate(ctx, "through_kafka");
        cargo.env("AUDIT_HOST_BIN", ctx.host_binary()).env("AUDIT_HOST_TMP", &dir);
        cargo.env("AUDIT_HOST_EVAL_BROKERS", node.bootstrap());
        cargo.args(&options.rest).args(options.is_tuning.then_some("--tuning"));
        run::run(&mut cargo)
    })?;
    folder::remove(&dir)
}

fn evaluate(ctx: &Context, part: &str) -> Command {
    let mut cargo = ctx.cargo();
    cargo.args(["run", "--release", "--locked", "--package", "audit-evaluate"]);
    cargo.args(["--example", part, "--"]);
    cargo
}

fn dir(ctx: &Context) -> Result<PathBuf> {
    let dir = ctx.target.join("tmp/eval");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--tuning" {
            options.is_tuning = true;
        } else if arg == "--through-kafka" {
            options.is_through_kafka = true;
        } else if THROUGH_KAFKA_OPTIONS.contains(&arg.as_str()) {
            let Some(value) = args.next() else {
                return run::usage(format!("{arg} needs a value"));
            };
            options.rest.extend([arg.clone(), value.clone()]);
        } else if let Some(part) = PARTS.iter().find(|part| *part == arg) {
            options.parts.push(part);
        } else {
            return run::usage(format!(
                "unknown argument `{arg}`; available: {}, --tuning, --through-kafka, {}",
                PARTS.join(", "),
                THROUGH_KAFKA_OPTIONS.join(", ")
            ));
        }
    }
    if options.is_through_kafka && options.parts != ["detection"] {
        return run::usage("--through-kafka is for `eval detection` alone".into());
    }
    if !options.is_through_kafka && !options.rest.is_empty() {
        return run::usage(format!("{} needs --through-kafka", options.rest[0]));
    }
    if options.parts.is_empty() {
        options.parts = PARTS.into();
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn options_of_the_broker_need_the_broker() {
        let options = parsed("detection --through-kafka --partitions 1,8 --tuning").unwrap();
        assert_eq!(options.rest, ["--partitions", "1,8"]);
        assert!(options.is_tuning && options.is_through_kafka);
        assert_eq!(parsed("").unwrap().parts, PARTS);
        for line in [
            "--through-kafka",
            "pii --through-kafka",
            "detection --rows 5",
            "detection --through-kafka --rows",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
