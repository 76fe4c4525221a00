//! The plugin boundary: WebAssembly components that judge Arrow batches.
//!
//! A plugin gets the columns that it declared, and nothing else: no file, no socket, no clock. What it
//! returns is checked before it becomes an Arrow array. Where a plugin fails, the rows that it fails on
//! are found and kept aside, and the rest goes on. All of wasmtime stays in this crate.

#![deny(unsafe_code)]

mod error;
mod limits;
mod memory;

mod chain;
mod control;
mod exchange;
mod plan;

mod bisect;
mod breaker;
mod runner;
mod shadow;
mod slot;

mod plugin;

mod cache;
mod component;
mod engine;
mod instance;

mod abi;
mod answer;
mod failure;
mod imports;
mod keys;
mod wasi;
mod words;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use chain::PluginChain;
pub use component::{ABI_VERSION, Answer, Interfaces};
pub use control::{ChainControl, Done, Place, Running};
pub use engine::Engine;
pub use error::Error;
pub use imports::Granted;
pub use keys::{Key, KeyIdError, Keys, OpenError};
pub use limits::{Limits, OnError, Scope};
pub use plugin::{Output, Plugin, PluginKind, PluginSource};
pub use shadow::{Difference, Finding, ShadowReport};
