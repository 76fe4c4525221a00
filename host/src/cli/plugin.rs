//! `audit-host plugin …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::LogArgs;

#[derive(Debug, Args)]
pub(crate) struct PluginArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Makes the project of a new plugin, which builds and passes its tests as it is
    New(NewArgs),
    /// Builds a project into a component, with its golden cases inside
    Build(BuildArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
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
