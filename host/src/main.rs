//! audit-host: Kafka audit events through WebAssembly plugins into an Iceberg table, and alerts.

#![forbid(unsafe_code)]

mod cli;
mod config;

mod commands;
mod wire;

mod plugins;

mod golden;

mod atomic_file;
mod builtin;
mod cells;
mod error;
mod exit;
mod feed;
mod logging;
mod metrics;
mod opened;
mod progress;
mod refused_start;
mod stdout;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    // Before anything else is done or read: the program may be its own compiler.
    if let Some(compiled) = audit_chain::compile_if_asked() {
        return compiled;
    }
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(cli.run));
    logging::start(command.log());
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::from(exit::code(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    audit_core::fail_point::arm()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = match command {
        Command::Run(args) => runtime.block_on(commands::run::run(args)),
        Command::Demo(args) => runtime.block_on(commands::demo::run(args)),
        Command::Generate(args) => runtime.block_on(commands::generate::run(args)),
        Command::Decrypt(args) => commands::decrypt::run(&args),
        Command::Plugin(command) => runtime.block_on(commands::plugin::run(command)),
        Command::Table(command) => runtime.block_on(commands::table::run(command)),
    };
    // Stages have ended; a blocking read of a file or a broker must not delay the exit.
    runtime.shutdown_background();
    ended
}

#[expect(clippy::print_stderr, reason = "the only place that prints errors")]
fn print_error(error: &anyhow::Error) {
    eprintln!("audit-host: {}", exit::line(error.as_ref()));
}
