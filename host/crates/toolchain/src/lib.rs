//! Builds a plugin from its sources: finds or fetches a toolchain for wasm, compiles a cargo package to a
//! module, and turns the module into a component.
//!
//! `audit-host plugin build` builds the plugins of users with it and `cargo xtask plugins` our own, so
//! that both come out alike. Nothing is printed here: progress is reported through a callback, and the
//! caller runs cargo, since it owns the terminal.

#![forbid(unsafe_code)]

mod build;
mod component;
mod error;
mod lines;
mod search;
mod target;

pub use build::Build;
pub use component::componentize;
pub use error::Error;
pub use search::{DEBIAN_PACKAGES, Origin, Search, Toolchain, clean};
pub use target::TARGET;
