//! JSON audit events to Arrow columns.
//!
//! A record either becomes a row or is rejected with a reason; it never stops the batch, and the rows
//! around it are not touched. A record is read into slots first and appended to the columns only when
//! all of it is good, so columns are never rolled back. The scanner is written by hand because no JSON
//! library does all of this: tell absent from null from wrong type, see duplicate keys, refuse what
//! follows the object, survive any nesting, and keep one row per offset.
//!
//! What becomes of which input is promised in `docs/events.md`.

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
