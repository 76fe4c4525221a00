//! The plugin as the host runs it, natively.

mod common;

mod actions;
mod columns;
#[allow(
    dead_code,
    reason = "shared: tests of the crate, the benchmark and the fuzz target use the rest"
)]
mod costly;
mod details;
mod detectors;
mod disguises;
mod evasions;
mod golden;
mod invariants;
mod repeats;
mod soup;
