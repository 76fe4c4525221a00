//! Opens what a run writes to: the table, its alerts, and the key that seals.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::datatypes::Field;
use audit_alert::AlertLines;
use audit_sink::{AuditTable, Pins, Store, TableSettings, Vault};

use crate::config::Settings;

/// What the group has accepted, for what is decided before the table is opened. A table that cannot be read is opened
/// later, which reports why.
pub(crate) async fn known_pins(settings: &Settings) -> Option<Pins> {
    let store = Store::open_existing(&settings.catalog).await.ok()?;
    audit_sink::pins(&store, &settings.table, &settings.group).await.ok().flatten()
}

/// What seals payloads and states, if a key was given.
pub(crate) fn vault(settings: &Settings) -> Result<Option<Arc<Vault>>> {
    let Some(path) = &settings.key_file else { return Ok(None) };
    Ok(Some(Arc::new(Vault::open(path).context("opening the table")?)))
}

/// The table, for a chain that adds these columns.
pub(crate) async fn table(
    settings: &Settings,
    added_columns: &[Field],
    vault: Option<Arc<Vault>>,
) -> Result<AuditTable> {
    let store = Store::open(&settings.catalog).await.context("opening the table")?;
    let table = TableSettings {
        name: settings.table.clone(),
        group: settings.group.clone(),
        topics: settings.topics.clone(),
        instance: settings.instance.clone(),
        lane_lease: settings.lane_lease,
        added_columns: added_columns.to_vec(),
        vault,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let table = AuditTable::open(store, table).await.context("opening the table")?;
    Ok(table.with_upkeep(settings.upkeep))
}

/// Where alerts go.
pub(crate) async fn alerts(settings: &Settings) -> Result<AlertLines> {
    AlertLines::open(settings.alerts.clone()).await.context("delivering alerts")
}
