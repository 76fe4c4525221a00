//! The program's own writer of files, into a new table.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use arrow::datatypes::Field;
use audit_sink::{
    AuditTable, CatalogSettings, EpochWriter, Payloads, Store, TableName, TableSettings,
    WriterSettings,
};

use crate::events;

const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The program's default.
const OPEN_FILES_BYTES_MAX: usize = 128 << 20;

/// A table with `added` behind the columns of events.
pub(crate) async fn open(
    dir: &Path,
    open_partitions_max: usize,
    added: &[Field],
) -> Result<EpochWriter> {
    let catalog = CatalogSettings {
        uri: format!("sqlite:{}", dir.join("catalog.db").display()),
        warehouse: dir.join("warehouse").display().to_string(),
        name: "audit_host".to_owned(),
    };
    let settings = TableSettings {
        name: TableName::parse("demo.audit_trail")?,
        group: "bench".to_owned(),
        topics: vec![events::TOPIC.to_owned()],
        instance: "bench".to_owned(),
        lane_lease: Duration::ZERO,
        added_columns: added.to_vec(),
        vault: None,
        host_version: "bench".to_owned(),
    };
    let table = AuditTable::open(Store::open(&catalog).await?, settings).await?;
    Ok(table.writer(WriterSettings {
        payloads: Payloads::DigestOnly,
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        open_partitions_max,
        open_files_bytes_max: OPEN_FILES_BYTES_MAX,
    })?)
}
