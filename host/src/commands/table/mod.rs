//! `audit-host table`: what is in the table's metadata, and what an operator does to it, beside a running host.

mod show;
mod snapshots;

mod upkeep;

mod drop;
mod register;

mod error;
mod output;

use anyhow::Result;

pub(crate) use self::error::Error;
use crate::cli::TableCommand;

pub(crate) async fn run(command: TableCommand) -> Result<()> {
    match command {
        TableCommand::Show(args) => show::run(args).await,
        TableCommand::Snapshots(args) => snapshots::run(args).await,
        TableCommand::Expire(args) => upkeep::expire(args).await,
        TableCommand::MergeManifests(args) => upkeep::merge_manifests(args).await,
        TableCommand::Garbage(args) => upkeep::garbage(args).await,
        TableCommand::Register(args) => register::run(args).await,
        TableCommand::Drop(args) => drop::run(args).await,
    }
}
