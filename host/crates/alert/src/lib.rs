//! Delivery of alerts: one JSON object a line, to standard output or a file.
//!
//! An alert is delivered at least once: after a crash the outbox is emptied again, and a receiver tells
//! what it has seen by the alert's `id`.

#![forbid(unsafe_code)]

mod error;
mod lines;
mod target;

pub use error::Error;
pub use lines::AlertLines;
pub use target::Target;
