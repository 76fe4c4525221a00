//! Counts read back from the table, for the demo and for tests.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use futures::TryStreamExt;

use crate::catalog::Store;
use crate::error::Error;
use crate::table::names::TableName;

/// What a table holds.
#[derive(Debug, Clone, Default)]
pub struct TableSummary {
    pub n_rows: u64,
    /// Rows by the value of the column asked for.
    pub by_value: BTreeMap<String, u64>,
    pub n_snapshots: usize,
    pub snapshot_id: Option<i64>,
    pub location: String,
    pub metadata_location: String,
}

/// Counts the rows of a table by the values of a text column, reading the data files.
pub async fn summarize(
    store: &Store,
    name: &TableName,
    column: &str,
) -> Result<TableSummary, Error> {
    let failed = |cause| name.failed("reading", cause);
    let table = store.load(name).await?;
    let metadata = table.metadata();
    let mut summary = TableSummary {
        n_snapshots: metadata.snapshots().len(),
        snapshot_id: metadata.current_snapshot_id(),
        location: metadata.location().to_owned(),
        metadata_location: table.metadata_location().unwrap_or_default().to_owned(),
        ..TableSummary::default()
    };
    let scan = table.scan().select([column]).build().map_err(failed)?;
    let mut batches = scan.to_arrow().await.map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        summary.n_rows += batch.num_rows() as u64;
        let values = batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>());
        for value in values.into_iter().flatten() {
            let value = value.unwrap_or("(null)");
            // An owned key only for a value not seen yet.
            match summary.by_value.get_mut(value) {
                Some(n) => *n += 1,
                None => {
                    summary.by_value.insert(value.to_owned(), 1);
                }
            }
        }
    }
    Ok(summary)
}
