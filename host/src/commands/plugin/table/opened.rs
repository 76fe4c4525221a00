//! The table that a command reads.

use anyhow::{Context as _, Result};
use audit_core::{PluginId, PluginState};
use audit_sink::{ComponentStore, PastChange, Pins, Store, Vault};

use crate::cli::TableArgs;
use crate::commands::columns::clean;
use crate::commands::plugin::error::Error;
use crate::config::{self, TableRef};

/// What every error of the table is about.
const READING: &str = "reading the table";

pub(super) struct Opened {
    store: Store,
    place: TableRef,
}

impl Opened {
    pub(super) async fn open(args: TableArgs) -> Result<Self> {
        let place = config::resolve_table(args)?;
        let store = Store::open_existing(&place.catalog).await.context(READING)?;
        Ok(Self { store, place })
    }

    /// The changes of one plugin or of all, oldest first.
    pub(super) async fn history(&self, plugin: Option<&str>) -> Result<Vec<PastChange>> {
        audit_sink::history(&self.store, &self.place.name, plugin).await.context(READING)
    }

    /// The plugins now, in their order.
    pub(super) async fn chain(&self) -> Result<Vec<PluginId>> {
        let Self { store, place } = self;
        let chain = audit_sink::chain(store, &place.name, &place.group).await.context(READING)?;
        let (table, group) = (place.name.to_string(), place.group.clone());
        Ok(chain.ok_or(Error::NoCommit { table, group })?)
    }

    /// What the group has accepted.
    pub(super) async fn pins(&self) -> Result<Pins> {
        let Self { store, place } = self;
        let pins = audit_sink::pins(store, &place.name, &place.group).await.context(READING)?;
        Ok(pins.unwrap_or_default())
    }

    pub(super) fn components(&self) -> ComponentStore {
        self.store.components()
    }

    /// The bytes of a component, checked against its digest.
    pub(super) async fn component(&self, id: &PluginId) -> Result<Vec<u8>> {
        let bytes = self.components().get(&id.sha256).await;
        bytes.with_context(|| format!("fetching the plugin {} with SHA-256 {}", id.name, id.sha256))
    }

    /// The states that a start would restore.
    pub(super) async fn states(&self, vault: &Vault) -> Result<Vec<PluginState>> {
        let Self { store, place } = self;
        audit_sink::states(store, &place.name, &place.group, vault).await.context(READING)
    }

    /// The error where no plugin of that name was ever in the chain.
    pub(super) async fn unknown(&self, plugin: &str, chain: &[PluginId]) -> Result<Error> {
        let history = self.history(None).await?;
        let of_history = history.iter().map(|past| &past.change.plugin);
        let mut names: Vec<_> =
            chain.iter().map(|id| &id.name).chain(of_history).map(|name| clean(name)).collect();
        names.sort();
        names.dedup();
        Ok(Error::UnknownPlugin {
            plugin: plugin.to_owned(),
            table: self.place.name.to_string(),
            group: self.place.group.clone(),
            known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        })
    }
}
