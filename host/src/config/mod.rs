//! Configuration. Each setting is declared once (`sections.rs`, `plugin_settings.rs`), given by flags and
//! variables (`flags.rs`) or by the file (`file.rs`), and resolved to what the stages take (`resolve.rs`).

mod error;
pub(crate) mod read;
mod units;

mod argument;
mod grants;
mod layer;
mod plugin_settings;
mod property;
mod sections;
mod setting;
pub(crate) mod trust;

mod file;
mod flags;
mod keys;
mod plugins;

mod resolve;
mod show;
mod table_ref;

#[cfg(test)]
pub(crate) mod docs;
#[cfg(test)]
mod lookup_settings;

pub(crate) use error::Error;
pub(crate) use file::kafka_of;
pub(crate) use flags::{Flags, TableArgs};
pub(crate) use grants::{heading, name_of, without_order};
pub(crate) use keys::{KeyEntries, KeyEntry};
pub(crate) use plugins::{
    PluginEntry, PluginPlaces, Wanted, lookups_and_keys, plugins_and_key_file,
};
pub(crate) use property::{read_all, warn_of_open_secrets};
pub(crate) use resolve::{PluginCache, Settings, resolve};
pub(crate) use sections::{CommandLine, Kafka, OnGap, RECORD_BYTES_MAX, StartAt};
pub(crate) use table_ref::{TableRef, resolve_table};
pub(crate) use units::parse_duration;
