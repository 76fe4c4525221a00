//! What the built-in detectors share.
//!
//! A detector reads rows as [`Event`]s, remembers something of each key in [`Memory`], and counts in
//! sliding windows of event time by [`Bursts`] under its own [`Rule`], or tells of each event by itself
//! in [`Episodes`]. Three things hold for all of it:
//!
//! - **Nothing depends on where a batch ends.** All that is forgotten is forgotten as an event comes,
//!   by that event's Kafka time, never by the clock of a batch.
//! - **Everything is bounded**: a key by the limits of [`Bursts`], all keys by [`Limits`].
//! - **Equal states give equal bytes**, whatever way led there. Hashes find keys and order nothing.

#![forbid(unsafe_code)]

mod address;
mod alert;
mod burst;
mod config;
mod episode;
mod event;
mod evictions;
mod hash;
mod keyed;
mod memory;
mod spans;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use address::{Networks, Origin};
pub use alert::{alert, field, key_field, positions, raise, severity_code, severity_of};
pub use burst::{
    Burst, Bursts, Finding, LOOSE_MAX, Rule, Sighting, kept_micros, read_sightings, write_sightings,
};
pub use config::{
    FUTURE_MAX, KEYS_MAX, STATE_BYTES_DEFAULT, STATE_BYTES_MAX, WINDOW_MAX, WINDOW_MIN, in_range,
    limits, not_empty,
};
pub use episode::{Episode, Episodes, Incident, Outbreak};
pub use event::{Event, EventColumns, is_one_of, key};
pub use evictions::Evictions;
pub use hash::stable_hash;
pub use keyed::{Keyed, Limits, Remembered};
pub use memory::{Format, Memory, Saved, corrupt, format_of};
pub use spans::{first_of_count, first_of_distinct, first_of_weight, n_distinct_near};
