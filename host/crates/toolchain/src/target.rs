//! The target of plugins.

/// What plugins are compiled for: no operating system, so no imports but those of `wit/`.
pub const TARGET: &str = "wasm32-unknown-unknown";
