//! Delivery of alerts: one JSON object a line, to standard output or a file.
//!
//! An alert is delivered at least once: after a crash the alerts of the outbox are delivered again, and a receiver
//! recognizes duplicates by the alert's `id`.

#![forbid(unsafe_code)]

mod error;
mod lines;
mod target;

pub use error::Error;
pub use lines::AlertLines;
pub use target::Target;
