//! What it takes to make a plugin of sources: a tool chain for wasm is found or fetched, a cargo
//! package is compiled to a module, the module becomes a component.
//!
//! `audit-host plugin build` builds the plugins of users with it and `cargo xtask plugins` our own, so
//! that both come out alike. Nothing is printed here: what goes on is said by a callback, and the
//! caller runs cargo, since it owns the terminal.

#![forbid(unsafe_code)]

mod build;
mod component;
mod error;
mod lines;
mod search;
mod section;

pub use build::Build;
pub use component::componentize;
pub use error::Error;
pub use search::{DEBIAN_PACKAGES, Origin, Search, TARGET, Toolchain, clean};
pub use section::append_custom;
