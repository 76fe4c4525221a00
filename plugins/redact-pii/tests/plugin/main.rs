//! The plugin as the host runs it, natively.

mod common;

mod actions;
mod columns;
mod details;
mod detectors;
mod disguises;
mod evasions;
mod golden;
mod invariants;
mod soup;
