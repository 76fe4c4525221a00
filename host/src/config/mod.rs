//! Configuration: the file as written, the settings that result.

mod error;
mod file;
mod resolve;
mod secret;

pub(crate) use error::Error;
pub(crate) use resolve::{PluginEntry, RECORD_BYTES_MAX, Settings, parse_duration, resolve};
