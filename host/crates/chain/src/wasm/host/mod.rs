//! The host's side of an instance: what a guest may call, and what the answers follow from.

pub(crate) mod state;

pub(crate) mod clock;
mod imports;
pub(crate) mod wasi;
