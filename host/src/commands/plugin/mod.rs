//! The author's loop: a plugin from nothing to a component.

use anyhow::Result;

use crate::cli::PluginCommand;

mod new;

mod build;
mod golden;
mod project;

pub(crate) fn run(command: PluginCommand) -> Result<()> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
    }
}
