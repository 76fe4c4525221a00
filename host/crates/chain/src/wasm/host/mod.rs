//! The host's side of an instance: what a guest may call, and the data behind it.

pub(crate) mod state;

pub(crate) mod quota;

pub(crate) mod clock;
mod imports;
pub(crate) mod wasi;
