//! `audit-host plugin`: the author's loop, what the table knows of its plugins, and putting another
//! component in place.
//!
//! Nothing here talks to a running host. It watches its plugins' files, and the table tells what became
//! of them.

mod new;

mod build;
mod golden;
mod project;

mod given;

mod check;
mod inspect;

mod test;

mod bench;
mod lines;
mod run;

mod list;

mod history;
mod promote;
mod rollback;

mod past;
mod place;
mod refused;

#[cfg(test)]
mod tests;

use anyhow::Result;
use audit_core::PluginId;
use audit_sink::{PastChange, Store};

pub(crate) use self::refused::Refused;
use crate::cli::{PluginCommand, TableArgs};
use crate::config::{self, TableRef};

pub(crate) async fn run(command: PluginCommand) -> Result<()> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
        PluginCommand::Check(args) => check::run(&args),
        PluginCommand::Inspect(args) => inspect::run(&args),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Bench(args) => bench::run(&args),
        PluginCommand::Run(args) => run::run(&args),
        PluginCommand::List(args) => list::run(args).await,
        PluginCommand::History(args) => history::run(args).await,
        PluginCommand::Rollback(args) => rollback::run(args).await,
        PluginCommand::Promote(args) => promote::run(args).await,
    }
}

/// The table that a command reads.
struct Opened {
    store: Store,
    place: TableRef,
}

impl Opened {
    async fn open(args: TableArgs) -> Result<Self> {
        let place = config::resolve_table(args)?;
        let store = Store::open_existing(&place.catalog).await;
        Ok(Self { store: store.map_err(reading)?, place })
    }

    async fn history(&self, plugin: Option<&str>) -> Result<Vec<PastChange>> {
        let history = audit_sink::history(&self.store, &self.place.name, plugin).await;
        Ok(history.map_err(reading)?)
    }

    /// The plugins now, in their order.
    async fn chain(&self) -> Result<Vec<PluginId>> {
        let Self { store, place } = self;
        let chain = audit_sink::chain(store, &place.name, &place.group).await.map_err(reading)?;
        let (table, group) = (place.name.to_string(), place.group.clone());
        Ok(chain.ok_or(Refused::NoCommit { table, group })?)
    }

    /// The bytes of a component, which are those that the digest names.
    async fn component(&self, id: &PluginId) -> Result<Vec<u8>> {
        let bytes = self.store.components().get(&id.sha256).await;
        Ok(bytes.map_err(|cause| {
            let attempted = format!("fetching the plugin {} with SHA-256 {}", id.name, id.sha256);
            audit_core::Error::caused_by(cause.kind(), "AH-0800", attempted, cause)
        })?)
    }
}

fn reading(cause: audit_sink::Error) -> audit_core::Error {
    audit_core::Error::caused_by(cause.kind(), "AH-0800", "reading the table", cause)
}

/// An error with its causes on one line, whatever a library has to say.
fn told(error: impl Into<anyhow::Error>) -> String {
    let text = format!("{:#}", error.into());
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// Text of a guest or a table without what could steer a terminal.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A count and its noun: `1 row`, `2 rows`.
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
