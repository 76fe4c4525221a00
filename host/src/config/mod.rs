//! Configuration: the file as written, the settings that result.

mod error;
mod file;
mod keys;
mod place;
mod plugins;
pub(crate) mod read;
mod resolve;
mod secret;

pub(crate) use error::Error;
pub(crate) use keys::{KeyEntries, KeyEntry};
pub(crate) use place::{TablePlace, resolve_table};
pub(crate) use plugins::{PluginEntry, PluginPlaces, Wanted, lookups_and_keys};
pub(crate) use resolve::{PluginCache, RECORD_BYTES_MAX, Settings, parse_duration, resolve};
