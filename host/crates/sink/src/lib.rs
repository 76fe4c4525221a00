//! Iceberg: rows to files, and files, offsets and provenance into the table in one step.
//!
//! All of iceberg, parquet and the catalogs' drivers stays in this crate. Known traps of the iceberg
//! crate are worked around where they bite; the comments there say how.

#![forbid(unsafe_code)]

mod error;

mod catalog;
mod definition;
mod names;

mod columns;
mod files;
mod location;
mod own_rows;
mod partition;
mod writer;

mod dead_letter;
mod vault;

mod commit;
mod components;
mod fence;
mod known_keys;
mod lineage;
mod outbox;
mod provenance;
mod table;

mod history;
mod summary;

pub use catalog::{CatalogSettings, Store};
pub use components::ComponentStore;
pub use dead_letter::Payloads;
pub use error::Error;
pub use history::{CommittedIn, PastChange, chain, history};
pub use known_keys::KnownKeys;
pub use lineage::plugins_of_row;
pub use names::TableName;
pub use summary::{TableSummary, summarize};
pub use table::{AuditTable, TableSettings};
pub use vault::Vault;
pub use writer::{EpochWriter, WriterSettings};
