//! Scores the built-in plugins on labelled data: `cargo xtask eval` prints what this crate counts.
#![forbid(unsafe_code)]

pub mod detection;
pub mod pii;
