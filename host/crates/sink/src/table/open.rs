//! What is checked before a table is written: whose it is, how new it is, and whether its rows are still there.

use std::time::Duration;

use audit_core::text;
use iceberg::table::Table;
use tokio::time::{Instant, sleep};

use crate::audit::witness;
use crate::catalog::Store;
use crate::error::Error;
use crate::table::definition;
use crate::table::find::find_or_create;
use crate::table::lane::LaneStatus;
use crate::table::names::{self, TableName};
use crate::table::settings::TableSettings;

/// How often a lane is looked at while another instance holds it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is said for whom the start waits.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Opens the audit table, creating it if it is absent, once this instance may write to it.
pub(crate) async fn open_rows(store: &Store, settings: &TableSettings) -> Result<Table, Error> {
    let name = &settings.name;
    let table = find_or_create(store, name, definition::audit_table(settings)?).await?;
    check_format(name, &table)?;
    check_topics(settings, &table)?;
    let table = wait_for_lane(store, settings, table).await?;
    check_topics(settings, &table)?;
    witness::check(name, &table, &settings.group).await?;
    definition::fit_audit_table(store, name, table, &settings.added_columns).await
}

/// Opens the table of dead letters, creating it if it is absent.
pub(crate) async fn open_dead_letters(store: &Store, name: &TableName) -> Result<Table, Error> {
    let table = find_or_create(store, name, definition::dead_letters(name)?).await?;
    check_format(name, &table)?;
    definition::check_dead_letters(name, &table)?;
    Ok(table)
}

/// Refuses a table that a newer version has written.
pub(crate) fn check_format(name: &TableName, table: &Table) -> Result<(), Error> {
    let Some(text) = table.metadata().properties().get(names::FORMAT_PROPERTY) else {
        return Ok(());
    };
    match text.parse() {
        Ok(found) if found > names::FORMAT => {
            Err(Error::NewerTable { table: name.to_string(), found, ours: names::FORMAT })
        }
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Damaged {
            what: "the table property",
            location: names::FORMAT_PROPERTY.to_owned(),
            problem: format!("{text:?} is not a number; this version writes {}", names::FORMAT),
        }),
    }
}

/// Refuses a group that reads other topics. Some in common are a change of the configuration, which is recorded.
fn check_topics(settings: &TableSettings, table: &Table) -> Result<(), Error> {
    let known = known_topics(table, &settings.group)?;
    if known.is_empty() || settings.topics.iter().any(|topic| known.contains(topic)) {
        return Ok(());
    }
    Err(Error::OtherTopics {
        group: settings.group.clone(),
        table: settings.name.to_string(),
        ours: settings.topics.join(", "),
        theirs: known.join(", "),
    })
}

/// The topics of a group as recorded; of a table that records none, those of its offsets.
pub(crate) fn known_topics(table: &Table, group: &str) -> Result<Vec<String>, Error> {
    let (properties, property) = (table.metadata().properties(), names::topics_property(group));
    let Some(json) = properties.get(&property) else {
        return Ok(names::topics_in(properties, group));
    };
    serde_json::from_str(json).map_err(|cause| Error::Damaged {
        what: "the table property",
        location: property,
        problem: cause.to_string(),
    })
}

/// Waits while another instance that lives holds the group's lane, and returns the table as it is then.
async fn wait_for_lane(
    store: &Store,
    settings: &TableSettings,
    mut table: Table,
) -> Result<Table, Error> {
    let TableSettings { name, group, instance, lane_lease: lease, .. } = settings;
    let mut said: Option<Instant> = None;
    loop {
        let Some(status) = LaneStatus::of(&table, group)? else { return Ok(table) };
        let wait = status.wait(instance, *lease);
        if wait.is_zero() {
            if said.is_some() {
                let (holder, silent_s) = (&status.mark, status.silent.as_secs());
                tracing::info!(%group, %holder, silent_s, "the other instance has ended, or was silent for the lease: taking over");
            }
            return Ok(table);
        }
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            said = Some(Instant::now());
            let holder = status.holder.as_ref();
            tracing::warn!(
                %group,
                table = %name,
                holder = text::clipped(&status.mark.to_string(), 300),
                host = holder.map(|holder| text::clipped(&holder.host, 300)),
                pid = holder.map(|holder| holder.pid),
                silent_s = status.silent.as_secs(),
                lease_s = lease.as_secs(),
                "another instance of the group writes to the table: waiting until it has been silent for the lease"
            );
        }
        sleep(wait.min(LOOK_EVERY)).await;
        table = store.reload(name, &table).await?;
    }
}
