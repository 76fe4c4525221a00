//! The command line of `audit-host plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::author::{BenchArgs, CheckArgs, InspectArgs, TestArgs, TryArgs};
use super::log::LogArgs;
use super::table::ReadArgs;
use crate::config::TableArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Create the project of a new plugin, which builds and passes its tests as it is
    New(NewArgs),
    /// Build a project into a component that contains its golden cases
    Build(BuildArgs),
    /// Report everything that prevents a component from loading
    Check(CheckArgs),
    /// Show a component's identity, imports, columns and size
    Inspect(InspectArgs),
    /// Run golden cases on the real engine with the real limits
    Test(TestArgs),
    /// Benchmark a plugin on generated events
    Bench(BenchArgs),
    /// Run events from a file through plugins and print the results as JSON lines
    Run(TryArgs),
    /// List the plugins that run, as recorded in the table
    List(ReadArgs),
    /// List the changes of plugins, oldest first
    History(HistoryArgs),
    /// Restore the component that ran before
    Rollback(SwapArgs),
    /// Replace a plugin by the candidate that runs as its shadow
    Promote(SwapArgs),
}

impl PluginCommand {
    pub(crate) fn log(&self) -> &LogArgs {
        match self {
            Self::New(args) => &args.log,
            Self::Build(args) => &args.log,
            Self::Check(args) => &args.log,
            Self::Inspect(args) => &args.log,
            Self::Test(args) => &args.log,
            Self::Bench(args) => &args.log,
            Self::Run(args) => &args.log,
            Self::List(args) => &args.log,
            Self::History(args) => &args.log,
            Self::Rollback(args) | Self::Promote(args) => &args.log,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Show only this plugin
    #[arg(value_name = "NAME")]
    pub(crate) plugin: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SwapArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// The plugin, as `plugin list` names it
    #[arg(value_name = "NAME")]
    pub(crate) plugin: String,
    #[command(flatten)]
    pub(crate) pick: PickArgs,
}

/// Which component, and where to write it.
#[derive(Debug, Default, Args)]
pub(crate) struct PickArgs {
    /// SHA-256 of the component, or a unique prefix of it [default: rollback: the one that ran before;
    /// promote: the newest candidate]
    #[arg(long, value_name = "SHA256")]
    pub(crate) to: Option<String>,
    /// Write the component to this file, and leave the plugin's file unchanged
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_commands_of_the_docs_are_understood() {
        Cli::command().debug_assert();
        let of = |line: &str| match Cli::parse_from(line.split(' ')).command {
            Some(Command::Plugin(command)) => command,
            other => panic!("{line}: {other:?}"),
        };
        let config = "--config audit-host.toml";
        assert!(matches!(of(&format!("audit-host plugin list {config}")), PluginCommand::List(_)));
        let history = of(&format!("audit-host plugin history redact_pii --json {config}"));
        assert!(
            matches!(history, PluginCommand::History(args) if args.json && args.plugin.is_some())
        );
        let line = format!("audit-host plugin rollback p --to 3f2a9c1b --output old.wasm {config}");
        let PluginCommand::Rollback(args) = of(&line) else { panic!("{line}") };
        assert_eq!((args.plugin.as_str(), args.pick.to.as_deref()), ("p", Some("3f2a9c1b")));
        assert!(args.table.config.is_some() && args.pick.output.is_some());
        let promote = of(&format!("audit-host plugin promote redact_pii {config}"));
        assert!(matches!(promote, PluginCommand::Promote(_)));
    }
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The plugin's name: lower-case letters, digits and _, starting with a letter
    pub(crate) name: String,
    /// The language of the plugin
    #[arg(long)]
    pub(crate) lang: Lang,
    /// What the plugin does: transform replaces columns, detector raises alerts
    #[arg(long)]
    pub(crate) kind: Kind,
    /// The project's folder, which must not exist yet [default: NAME]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The project's folder
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Where to write the component [default: DIR/target/NAME.wasm]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lang {
    Rust,
    Js,
    Python,
}

/// What a plugin does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Transform,
    Detector,
}
