//! The detectors' state of the last epoch, for who only reads the table.

use audit_core::PluginState;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::names::{self, TableName};
use crate::table::outbox::{Objects, Pointer};
use crate::vault::Vault;

/// The states that a start of the group would restore; none if it has no detector, or its state is not kept.
/// Nothing is taken from an instance that is running.
pub async fn states(
    store: &Store,
    name: &TableName,
    group: &str,
    vault: &Vault,
) -> Result<Vec<PluginState>, Error> {
    let table = store.load(name).await?;
    let property = names::state_property(group);
    let Some(json) = table.metadata().properties().get(&property) else { return Ok(Vec::new()) };
    let objects = Objects {
        file_io: store.file_io.clone(),
        waits: store.waits,
        folder: store.own_folder(),
        group: group.to_owned(),
    };
    objects.get_states(&Pointer::parse(&property, json)?, vault).await
}
