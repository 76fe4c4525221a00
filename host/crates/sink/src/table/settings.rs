//! Which table, and on whose behalf.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Field;

use crate::table::names::TableName;
use crate::vault::Vault;

/// Which table, and on whose behalf.
#[derive(Debug, Clone)]
pub struct TableSettings {
    pub name: TableName,
    pub group: String,
    pub topics: Vec<String>,
    /// The name of this instance among those of the group.
    pub instance: String,
    /// How long another instance must have been silent before this one takes its place.
    pub lane_lease: Duration,
    /// Columns that transforms add.
    pub added_columns: Vec<Field>,
    /// Seals the state of detectors; without it no state is stored.
    pub vault: Option<Arc<Vault>>,
    /// The version of the program, for provenance.
    pub host_version: String,
}
