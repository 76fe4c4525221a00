//! audit-host: Kafka audit events through WebAssembly plugins into an Iceberg table, and alerts.

#![forbid(unsafe_code)]

mod cli;
mod config;

mod builtin;
mod cells;
mod commands;
mod feed;
mod golden;
mod logging;
mod plugins;
mod progress;
mod wire;

use std::process::ExitCode;

use audit_core::Kind;
use clap::Parser;

use crate::cli::{Cli, Command};

/// Something failed.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong. clap uses the same code.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(cli.run));
    logging::start(command.log());
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = match command {
        Command::Run(args) => runtime.block_on(commands::run::run(args)),
        Command::Demo(args) => runtime.block_on(commands::demo::run(args)),
        Command::Generate(args) => runtime.block_on(commands::generate::run(args)),
        Command::Decrypt(args) => commands::decrypt::run(&args),
        Command::Plugin(command) => runtime.block_on(commands::plugin::run(command)),
    };
    // Stages have ended; a blocking read of a file or a broker must not hold the exit up.
    runtime.shutdown_background();
    ended
}

#[expect(clippy::print_stderr, reason = "the one place that prints errors")]
fn say_error(error: &anyhow::Error) {
    // One line, whatever a library has to say.
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    eprintln!("audit-host: {}", lines.join("; "));
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let is_config = error.chain().any(|cause| {
        cause.is::<config::Error>()
            || cause.is::<commands::plugin::Refused>()
            || cause.downcast_ref::<audit_core::Error>().is_some_and(|e| e.kind() == Kind::Config)
    });
    if is_config { USAGE } else { FAILED }
}
