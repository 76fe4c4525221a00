//! The plugin boundary: WebAssembly components that judge Arrow batches.
//!
//! A plugin gets the columns that it declared, and nothing else: no file, no socket, no clock. What it
//! returns is checked before it becomes an Arrow array; a wrong answer is a [`Error::Fault`] of the
//! plugin. All of wasmtime stays in this crate.

#![forbid(unsafe_code)]

mod error;

mod chain;
mod plan;
mod plugin;

mod engine;
mod instance;

mod abi;
mod answer;
mod imports;

pub use chain::PluginChain;
pub use engine::Engine;
pub use error::Error;
pub use imports::{Key, Keys};
pub use plugin::{Limits, Plugin, PluginSource};
