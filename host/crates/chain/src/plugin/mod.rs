//! One plugin: what it declared, a loaded candidate, and the check of what it returns.

pub(crate) mod candidate;
pub(crate) mod output;
pub(crate) mod spec;
