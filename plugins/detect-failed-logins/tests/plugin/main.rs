//! The plugin as the host runs it, natively.

mod common;

mod state;
mod windows;
