//! The plugin boundary: WebAssembly components that judge Arrow batches.
//!
//! A plugin gets the columns that it declared, and nothing else: no file, no socket, no clock. What it
//! returns is checked before it becomes an Arrow array. Where a plugin fails, the rows that it fails on
//! are found and kept aside, and the rest goes on. All of wasmtime stays in this crate.

#![deny(unsafe_code)]

mod error;
mod limits;
#[path = "runner/replay.rs"]
mod memory;

mod chain;
#[path = "chain/control.rs"]
mod control;
#[path = "chain/reload.rs"]
mod exchange;
#[path = "chain/plan.rs"]
mod plan;

#[path = "runner/bisect.rs"]
mod bisect;
#[path = "runner/breaker.rs"]
mod breaker;
mod runner;
#[path = "chain/shadow.rs"]
mod shadow;
#[path = "runner/slot.rs"]
mod slot;

#[path = "plugin/spec.rs"]
mod plugin;

#[path = "wasm/cache.rs"]
mod cache;
#[path = "wasm/component.rs"]
mod component;
#[path = "wasm/engine.rs"]
mod engine;
#[path = "wasm/instance.rs"]
mod instance;

#[path = "wasm/abi.rs"]
mod abi;
#[path = "plugin/output.rs"]
mod answer;
#[path = "wasm/failure.rs"]
mod failure;
#[path = "wasm/host/imports.rs"]
mod imports;
#[path = "wasm/keys.rs"]
mod keys;
#[path = "wasm/host/wasi.rs"]
mod wasi;
#[path = "wasm/scrub.rs"]
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
