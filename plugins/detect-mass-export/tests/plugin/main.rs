//! The plugin as the host runs it, natively.

mod common;

mod exports;
mod state;
mod time;
