//! `audit-host plugin`: the commands of a plugin's author, and those that read the table and install another
//! component.
//!
//! Nothing here talks to a running host. It watches the files of its plugins, and the history in the table
//! says what it did.

mod author;
mod table;

mod error;

use anyhow::Result;

pub(crate) use self::error::Error;
use crate::cli::PluginCommand;

pub(crate) async fn run(command: PluginCommand) -> Result<()> {
    match command {
        PluginCommand::New(args) => author::new::run(&args),
        PluginCommand::Build(args) => author::build::run(&args),
        PluginCommand::Check(args) => author::check::run(&args),
        PluginCommand::Inspect(args) => author::inspect::run(&args),
        PluginCommand::Test(args) => author::test::run(&args),
        PluginCommand::Bench(args) => author::bench::run(&args),
        PluginCommand::Run(args) => author::run::run(&args),
        PluginCommand::List(args) => table::list::run(args).await,
        PluginCommand::History(args) => table::history::run(args).await,
        PluginCommand::Rollback(args) => table::rollback::run(args).await,
        PluginCommand::Promote(args) => table::promote::run(args).await,
    }
}
