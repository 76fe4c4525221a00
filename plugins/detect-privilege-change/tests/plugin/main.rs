//! The plugin as the host runs it, natively.

mod common;

mod alerts;
mod config;
mod robust;
mod roles;
mod state;
