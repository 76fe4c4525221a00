//! The plugin as the host runs it, natively.

mod common;

mod addresses;
mod state;
mod time;
