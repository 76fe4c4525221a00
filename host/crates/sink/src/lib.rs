//! Iceberg: rows to files, and files, offsets and provenance into the table in one step.
//!
//! All of iceberg, parquet and the catalogs' drivers stays in this crate. Known defects of the iceberg crate
//! are worked around where they bite; the comments there say how.

#![forbid(unsafe_code)]

mod attempted;
mod error;

mod private;

mod catalog;
mod vault;

mod epoch;
mod table;

mod audit;

pub mod admin;
mod upkeep;

pub use audit::components::ComponentStore;
pub use audit::history::{CommittedIn, PastChange, chain, history};
pub use audit::known_keys::KnownKeys;
pub use audit::lineage::plugins_of_row;
pub use audit::pins::{Pin, PinBook, Pins, pins};
pub use audit::states::states;
pub use catalog::pointer::{Pointer, PointerError};
pub use catalog::waits::Waits;
pub use catalog::{CatalogSettings, Store};
pub use epoch::dead_letter::Payloads;
pub use epoch::writer::{EpochWriter, WriterSettings};
pub use error::Error;
pub use table::AuditTable;
pub use table::lane::host_name;
pub use table::names::TableName;
pub use table::settings::TableSettings;
pub use table::summary::{TableSummary, summarize};
pub use upkeep::{
    ExpirePlan, GarbageKind, GarbagePlan, MergePlan, SnapshotLine, Upkeep, UpkeepSettings,
    plan_expire, plan_garbage, plan_merge, run_expire, run_garbage, run_merge,
};
pub use vault::Vault;
