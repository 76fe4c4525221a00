//! JSON audit events to Arrow columns.
//!
//! A record either becomes a row or is rejected with a reason; it never stops the batch, and other records are not
//! affected. A record is first read into slots, and appended to the columns only when all of it is valid, so
//! columns are never rolled back. The scanner is written by hand because no JSON library does all of this:
//! distinguish absent, null and wrong type, detect duplicate keys, reject trailing data, survive any nesting,
//! and produce one row per offset.
//!
//! `docs/events.md` specifies how inputs are handled.

#![forbid(unsafe_code)]

mod decoder;
mod event;
mod keys;
mod scan;
mod timestamp;

mod columns;

mod error;
mod fault;

pub use decoder::{JsonDecoder, Settings};
