//! The plugin as the host runs it, natively.

mod common;

mod columns;
mod hours;
mod lookups;
