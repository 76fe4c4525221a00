//! The plugin as the host runs it, natively.

mod common;

mod attacks;
mod state;
mod time;
mod windows;
