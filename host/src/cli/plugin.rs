//! The command line of `audit-host plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::LogArgs;
use super::author::{BenchArgs, CheckArgs, InspectArgs, TestArgs, TryArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Makes the project of a new plugin, which builds and passes its tests as it is
    New(NewArgs),
    /// Builds a project into a component, with its golden cases inside
    Build(BuildArgs),
    /// Says everything that stands between a component and the chain
    Check(CheckArgs),
    /// Shows what a component is, asks for and touches
    Inspect(InspectArgs),
    /// Runs golden cases on the real engine with the real limits
    Test(TestArgs),
    /// Measures a plugin on generated events
    Bench(BenchArgs),
    /// Takes events of a file through plugins, and prints what comes out as JSON lines
    Run(TryArgs),
    /// Lists the plugins that judge now, as the table remembers them
    List(ListArgs),
    /// Lists what happened to the plugins, oldest first
    History(HistoryArgs),
    /// Puts back the component that ran before
    Rollback(SwapArgs),
    /// Puts the candidate that runs as a shadow in its plugin's place
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

/// Which table, found as a run finds it.
#[derive(Debug, Default, Args)]
pub(crate) struct TableArgs {
    /// Configuration file (TOML), the one that the host runs with
    #[arg(long, env = "AUDIT_HOST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Iceberg catalog: sqlite:PATH [default: sqlite:WAREHOUSE/catalog.db]
    #[arg(long, env = "AUDIT_HOST_CATALOG", value_name = "URI")]
    pub(crate) catalog: Option<String>,
    /// Folder of the tables' files [default: the folder `warehouse` beside the catalog's file]
    #[arg(long, env = "AUDIT_HOST_WAREHOUSE", value_name = "URI")]
    pub(crate) warehouse: Option<String>,
    /// The table
    #[arg(long, env = "AUDIT_HOST_TABLE", value_name = "NAMESPACE.NAME")]
    pub(crate) table: Option<String>,
    /// The group of the host [default: audit-host]
    #[arg(long, env = "AUDIT_HOST_GROUP")]
    pub(crate) group: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Only this plugin
    #[arg(value_name = "NAME")]
    pub(crate) plugin: Option<String>,
    /// One JSON object a line
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

/// Which component, and where it goes.
#[derive(Debug, Default, Args)]
pub(crate) struct PickArgs {
    /// The component with this SHA-256, or the only one whose SHA-256 begins so [default: rollback: the
    /// one that ran before; promote: the newest candidate]
    #[arg(long, value_name = "SHA256")]
    pub(crate) to: Option<String>,
    /// Write the component to this file and leave the plugin's alone
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
    /// The plugin's name: lower-case letters, digits and _, beginning with a letter
    pub(crate) name: String,
    /// The language of the plugin
    #[arg(long)]
    pub(crate) lang: Lang,
    /// What the plugin does: replace columns, or raise alerts
    #[arg(long)]
    pub(crate) kind: Kind,
    /// The project's folder; must not exist [default: NAME]
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
    /// Where the component goes [default: DIR/target/NAME.wasm]
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

/// What a plugin may do to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Transform,
    Detector,
}
