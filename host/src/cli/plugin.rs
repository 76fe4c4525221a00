//! The command line of `audit-host plugin`.

use clap::Subcommand;

use super::LogArgs;
use super::author::{BenchArgs, CheckArgs, InspectArgs, TestArgs, TryArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
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
}

impl PluginCommand {
    pub(crate) fn log(&self) -> &LogArgs {
        match self {
            Self::Check(args) => &args.log,
            Self::Inspect(args) => &args.log,
            Self::Test(args) => &args.log,
            Self::Bench(args) => &args.log,
            Self::Run(args) => &args.log,
        }
    }
}
