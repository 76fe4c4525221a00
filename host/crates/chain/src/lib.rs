//! The plugin boundary: WebAssembly components that judge Arrow batches.
//!
//! A plugin gets the columns that it declared, and nothing else: no file, no socket, no clock. What it
//! returns is checked before it becomes an Arrow array. Where a plugin fails, the failing rows are found
//! and dead-lettered, and the other rows go on. All of wasmtime stays in this crate.

// Expected at one place, in `wasm/cache.rs`: loading machine code that our own program compiled.
#![deny(unsafe_code)]

mod error;
mod limits;
mod text;
mod unlogged;

mod chain;
mod plugin;
mod runner;
mod wasm;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use chain::PluginChain;
pub use chain::canary::replaceable;
pub use chain::control::{ChainControl, Done, Place, Running};
pub use chain::proofs::Proof;
pub use chain::shadow::{Difference, ShadowReport};
pub use error::Error;
pub use limits::{Limits, OnError, Scope};
pub use plugin::candidate::Plugin;
pub use plugin::spec::{Binding, Output, PluginKind, PluginSource};
pub use runner::halvings::Halvings;
pub use unlogged::unlogged;
pub use wasm::compile::{Cancel, compile_if_asked};
pub use wasm::component::{ABI_VERSION, ImportPolicy, Interfaces};
pub use wasm::engine::Engine;
pub use wasm::host::state::Granted;
pub use wasm::keys::{Key, KeyIdError, Keys, OpenError};
