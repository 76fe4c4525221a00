//! What the built-in detectors share.
//!
//! A detector reads rows as [`Event`]s and keeps a value per key in a [`State`]. It either counts in
//! sliding windows of event time with [`Bursts`] and its own [`Rule`], or judges each event on its own with
//! [`Episodes`]. Three things always hold:
//!
//! - **Results do not depend on batch boundaries.** Data expires when an event comes, by the Kafka time of
//!   that event, never by the clock of a batch.
//! - **Everything is bounded**: a key by the limits of [`Bursts`], all keys by [`Limits`].
//! - **Equal states give equal bytes**, no matter how they came about. Hashes find keys; they determine no
//!   order.

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
mod saved;
mod spans;
mod state;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use address::{Networks, Origin};
pub use alert::{field, key_field, raise, severity_code, severity_of};
pub use burst::{
    Burst, Bursts, Finding, LOOSE_MAX, Rule, Sighting, kept_micros, positions, read_sightings,
    write_sightings,
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
pub use saved::{Format, Saved, corrupt, format_of};
pub use spans::{first_of_count, first_of_distinct, first_of_weight, n_distinct_near};
pub use state::State;
