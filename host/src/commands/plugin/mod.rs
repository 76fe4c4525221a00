//! `audit-host plugin`: an author's loop. Check, look into, test, measure and try out a component, on
//! the engine and with the limits of a run, without a broker.

mod given;

mod check;
mod inspect;

mod test;

mod bench;
mod lines;
mod run;

use anyhow::Result;

use crate::cli::PluginCommand;

#[expect(clippy::unused_async, reason = "commands that read tables wait for them")]
pub(crate) async fn run(command: PluginCommand) -> Result<()> {
    match command {
        PluginCommand::Check(args) => check::run(&args),
        PluginCommand::Inspect(args) => inspect::run(&args),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Bench(args) => bench::run(&args),
        PluginCommand::Run(args) => run::run(&args),
    }
}

/// An error with its causes on one line, whatever a library has to say.
fn told(error: impl Into<anyhow::Error>) -> String {
    let text = format!("{:#}", error.into());
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// Text of a guest without what could steer a terminal.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A count and its noun: `1 row`, `2 rows`.
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
