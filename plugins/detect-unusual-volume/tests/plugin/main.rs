//! The plugin as the host runs it, natively.

mod common;

mod config;
mod evaluation;
mod limits;
mod state;
mod time;
