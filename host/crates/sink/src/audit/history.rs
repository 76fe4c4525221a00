//! The changes of plugins, read back from the table.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use audit_core::{Change, PluginChange, PluginId, schema};
use futures::TryStreamExt;
use iceberg::expr::Reference;
use iceberg::spec::Datum;
use iceberg::table::Table;

use crate::audit::lineage;
use crate::catalog::Store;
use crate::epoch::system_rows;
use crate::error::Error;
use crate::table::names::TableName;
use crate::upkeep::history::History;

/// A change as recorded in the table. Times are in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastChange {
    pub change: PluginChange,
    /// When the row was written.
    pub written_at: Option<i64>,
    /// The commit that made it visible; also after its snapshot has expired.
    pub commit: Option<CommittedIn>,
}

/// A snapshot of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedIn {
    pub snapshot_id: i64,
    pub at: i64,
}

/// Every change of every plugin, or of the one named; oldest first.
pub async fn history(
    store: &Store,
    name: &TableName,
    plugin: Option<&str>,
) -> Result<Vec<PastChange>, Error> {
    let failed = |cause| name.failed("reading", cause);
    let table = store.load(name).await?;
    let equals = |column: &str, value| Reference::new(column).equal_to(Datum::string(value));
    // Prunes by partition, then by row; what is read is checked again below.
    let mut filter = equals(schema::ACTION_TYPE, system_rows::ACTION_TYPE)
        .and(equals("resource_type", system_rows::RESOURCE_TYPE));
    if let Some(plugin) = plugin {
        filter = filter.and(equals("resource_id", plugin));
    }
    let scan = table.scan().select(COLUMNS).with_filter(filter).build().map_err(failed)?;
    let mut batches = scan.to_arrow().await.map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        rows.extend(rows_of(name, &batch)?);
    }
    rows.sort_by(|a, b| (a.change.at, &a.audit_id).cmp(&(b.change.at, &b.audit_id)));
    let commits = commits(store, &table).await?;
    let past = |row: Row| PastChange {
        commit: commits.get(&key_of(&row.change)).copied(),
        written_at: row.written_at,
        change: row.change,
    };
    Ok(rows.into_iter().map(past).collect())
}

/// The group's plugins after its last commit; `None` if it has made none.
pub async fn chain(
    store: &Store,
    name: &TableName,
    group: &str,
) -> Result<Option<Vec<PluginId>>, Error> {
    let table = store.load(name).await?;
    match lineage::chain_in(&table, group)? {
        Some(chain) => Ok(Some(chain)),
        None => Ok(History::read(store, &table).await?.chain(group).map(<[_]>::to_vec)),
    }
}

const COLUMNS: [&str; 6] = [
    schema::AUDIT_ID,
    "user_id",
    "resource_type",
    "details",
    schema::INGESTION_TIMESTAMP,
    schema::SOURCE_PARTITION,
];

struct Row {
    audit_id: String,
    written_at: Option<i64>,
    change: PluginChange,
}

/// The rows that the host wrote itself. An event from Kafka can imitate one, but cannot hide the partition that
/// it came from.
fn rows_of(name: &TableName, batch: &RecordBatch) -> Result<Vec<Row>, Error> {
    let text = |column| batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>());
    let is = |column: Option<&StringArray>, row, value| {
        column.is_some_and(|column| column.is_valid(row) && column.value(row) == value)
    };
    let times = batch
        .column_by_name(schema::INGESTION_TIMESTAMP)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(details), Some(partitions)) = (
        text("details"),
        batch
            .column_by_name(schema::SOURCE_PARTITION)
            .and_then(|column| column.as_primitive_opt::<Int32Type>()),
    ) else {
        let problem = "columns of plugin changes are absent or of another type".to_owned();
        return Err(Error::OtherSchema { table: name.to_string(), problem });
    };
    let mut rows = Vec::new();
    for row in 0..batch.num_rows() {
        let is_ours = partitions.is_null(row)
            && is(text("user_id"), row, system_rows::USER_ID)
            && is(text("resource_type"), row, system_rows::RESOURCE_TYPE)
            && details.is_valid(row);
        if !is_ours {
            continue;
        }
        let audit_id = text(schema::AUDIT_ID)
            .filter(|ids| ids.is_valid(row))
            .map_or_else(String::new, |ids| ids.value(row).to_owned());
        match serde_json::from_str(details.value(row)) {
            // Rows of lookup changes have another resource type.
            Ok(Change::Lookup(_)) => {}
            Ok(Change::Plugin(change)) => {
                let written_at = times.filter(|times| times.is_valid(row)).map(|t| t.value(row));
                rows.push(Row { audit_id, written_at, change });
            }
            // Possibly written by a later version: the others are useful without it.
            Err(error) => {
                tracing::warn!(audit_id, %error, "skipping a plugin change that this version cannot read");
            }
        }
    }
    Ok(rows)
}

/// The commits of all changes, by [`key_of`]: of snapshots that have expired from the history, of the others from
/// their summaries.
async fn commits(store: &Store, table: &Table) -> Result<HashMap<String, CommittedIn>, Error> {
    let mut commits = HashMap::new();
    for past in History::read(store, table).await?.entries(store).await?.changes {
        let at = past.mark.at.saturating_mul(1_000);
        let commit = CommittedIn { snapshot_id: past.mark.snapshot, at };
        commits.extend(past.change.as_plugin().map(|change| (key_of(change), commit)));
    }
    for snapshot in table.metadata().snapshots() {
        let at = snapshot.timestamp_ms().saturating_mul(1_000);
        let commit = CommittedIn { snapshot_id: snapshot.snapshot_id(), at };
        let changes = lineage::changes_in(snapshot)?;
        let changes = changes.iter().filter_map(Change::as_plugin);
        commits.extend(changes.map(|change| (key_of(change), commit)));
    }
    Ok(commits)
}

/// A change has no id of its own; its JSON identifies it.
fn key_of(change: &PluginChange) -> String {
    serde_json::json!(change).to_string()
}
