//! The plugin boundary: WebAssembly components that judge Arrow batches.
//!
//! A plugin gets the columns that it declared, and nothing else: no file, no socket, no clock. What it
//! returns is checked before it becomes an Arrow array. Where a plugin fails, the failing rows are found
//! and dead-lettered, and the other rows go on. All of wasmtime stays in this crate.

// Expected at one place, in `wasm/cache.rs`: loading machine code that wasmtime compiled and we cached.
#![deny(unsafe_code)]

mod error;
mod limits;
mod text;

mod chain;
mod plugin;
mod runner;
mod wasm;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use chain::PluginChain;
pub use chain::control::{ChainControl, Done, Place, Running};
pub use chain::shadow::{Difference, ShadowReport};
pub use error::Error;
pub use limits::{Limits, OnError, Scope};
pub use plugin::candidate::Plugin;
pub use plugin::spec::{Output, PluginKind, PluginSource};
pub use runner::halvings::Halvings;
pub use wasm::component::{ABI_VERSION, ImportPolicy, Interfaces};
pub use wasm::engine::Engine;
pub use wasm::host::state::Granted;
pub use wasm::keys::{Key, KeyIdError, Keys, OpenError};
