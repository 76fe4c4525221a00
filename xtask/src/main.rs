//! `cargo xtask <command>`: the only automation of this repository.
//!
//! A command says in one line what it does and why before it does it, and how long it took.
//! What it lacks it installs where it may, otherwise it says what to install and ends with 2.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

use std::process::ExitCode;

use anyhow::Result;

use crate::context::Context;

mod bench;
mod build;
mod context;
mod demo;
mod docs;
mod eval;
mod folder;
mod fuzz;
mod needs;
mod parts;
mod plugins;
mod run;
mod setup;
mod test;
mod tidy;

#[path = "../../tests/src/kafka.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests, which use more of it and see it from outside"
)]
mod kafka;

/// A command's name, its arguments, what it is for, and the function behind it.
type Entry = (&'static str, &'static str, &'static str, fn(&Context, &[String]) -> Result<()>);

const COMMANDS: &[Entry] = &[
    ("demo", "[args…]", "builds everything and runs `audit-host demo`", demo::main),
    (
        "test",
        "[--only a,b | --from a] [filter…]",
        "all checks and tests against real parts",
        test::main,
    ),
    (
        "bench",
        "NAME [--rows N] [--runs N] [--json FILE]",
        "measures: pipeline, freshness, decode, parquet, plugin",
        bench::main,
    ),
    (
        "eval",
        "[detection|pii] [--tuning] [--through-kafka]",
        "scores the plugins on labelled data, detectors beside the pattern's SQL or through Kafka",
        eval::main,
    ),
    ("build", "", "builds the plugins and the program that embeds them", build::main),
    (
        "plugins",
        "[--toolchain rustup|debian]",
        "builds plugins/* and tests/guests/* as components",
        plugins::main,
    ),
    ("setup", "[build|test]", "installs what is missing, or says how", setup::main),
    ("tidy", "", "checks the rules of STYLE.md that no compiler checks", tidy::main),
    (
        "fuzz",
        "[TARGET…] [--seconds N]",
        "searches for inputs that the targets of fuzz/ fail on",
        fuzz::main,
    ),
    ("docs", "[--check]", "makes docs/errors.md from the errors of the code", docs::main),
    (
        "real-parts",
        "[up|down kafka]",
        "fetches the parts of the tests; starts or stops one",
        parts::main,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<run::Reported>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<run::Usage>() { 2 } else { 1 })
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", args),
    };
    if matches!(name, "help" | "--help" | "-h") {
        print_help();
        return Ok(());
    }
    let Some((.., command)) = COMMANDS.iter().find(|(known, ..)| *known == name) else {
        print_help();
        return run::usage(format!("unknown command `{name}`"));
    };
    command(&Context::new()?, rest)
}

fn print_help() {
    println!("cargo xtask <command>\n");
    for (name, args, about, _) in COMMANDS {
        println!("  {:<46} {about}", format!("{name} {args}"));
    }
    println!(
        "\nBuild output goes to CARGO_TARGET_DIR, or else to audit-host/target in the user's cache;\n\
         fetched parts (Kafka, Python) go to audit-host/parts in the user's cache."
    );
}
