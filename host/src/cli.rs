//! The command line. The settings of the main job are declared in `config`.

mod author;
mod generate;
mod log;
mod plugin;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::author::{
    BenchArgs, CheckArgs, GivenArgs, InspectArgs, KeyArgs, TestArgs, TryArgs,
};
pub(crate) use self::generate::{GenerateArgs, KafkaTime, OneOrAll};
pub(crate) use self::log::{LogArgs, LogFormat};
pub(crate) use self::plugin::{
    BuildArgs, HistoryArgs, Kind, Lang, NewArgs, PickArgs, PluginCommand, SwapArgs,
};
pub(crate) use self::table::{ChangeArgs, DropArgs, ReadArgs, RegisterArgs, TableCommand};
use crate::config::{CommandLine, Flags};
pub(crate) use crate::config::{OnGap, StartAt, TableArgs};

/// Stream Kafka audit events through WebAssembly plugins into an Iceberg table, and raise alerts
///
/// Flags override AUDIT_HOST_* variables, which override the configuration file.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, for the life of the program")]
pub(crate) enum Command {
    /// Read events, run the plugins, write the table (the default command)
    Run(RunArgs),
    /// Show the whole flow with nothing but this program: broker, events, plugins, table, alerts
    Demo(DemoArgs),
    /// Write synthetic audit events, with labelled attacks on request
    Generate(GenerateArgs),
    /// Decrypt values that a plugin encrypted
    Decrypt(DecryptArgs),
    /// Create, build, test, benchmark and replace plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at the table, tidy its metadata, take it into a catalog, remove it
    #[command(subcommand)]
    Table(TableCommand),
}

impl Command {
    pub(crate) fn log(&self) -> &LogArgs {
        match self {
            Self::Run(args) => &args.log,
            Self::Demo(args) => &args.log,
            Self::Generate(args) => &args.log,
            Self::Decrypt(args) => &args.log,
            Self::Plugin(command) => command.log(),
            Self::Table(command) => command.log(),
        }
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Folder for the table and its catalog; must be empty or absent [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Number of events, 100 to 200000
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=200_000))]
    pub(crate) count: u64,
    /// Events per second, 1 to 20000
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub(crate) rate: u64,
    /// The same seed gives the same events
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Configuration file (TOML) that defines the key
    #[arg(long, env = CommandLine::config().variable(), value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Name of the key in [keys]. Its previous secrets are found by their ids
    #[arg(long, value_name = "NAME")]
    pub(crate) key: String,
    /// The subject that the values were encrypted for
    #[arg(long, default_value = "")]
    pub(crate) subject: String,
    /// The column or path that the values come from
    #[arg(long)]
    pub(crate) context: String,
    /// Print each value as a JSON string, because a value may have several lines
    #[arg(long)]
    pub(crate) json: bool,
    /// The values; if there are none, they are read from standard input, one per line
    #[arg(value_name = "VALUE")]
    pub(crate) values: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;
    use crate::config::docs;

    /// `UPDATE_EXPECT=1` writes the file instead.
    #[test]
    fn the_tables_of_the_docs_are_those_of_the_declarations() {
        docs::check(&Cli::command());
    }
}
