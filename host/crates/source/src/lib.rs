//! Kafka: reads records, commits offsets for lag tools, and sends records for `generate`.
//!
//! Partitions are *assigned* at the offsets that the table holds, never subscribed to: the offsets that are
//! committed to Kafka are for lag tools only. All of rdkafka stays in this crate.

mod error;
mod properties;

mod refusal;

mod settings;

mod ffi;

mod certificate;
mod reach;
mod token;

mod assignment;
mod consumer;
mod intake;
mod merge;
mod progress;
mod reader;
mod watch;

mod embedded;
mod producer;

pub use consumer::{Acknowledger, KafkaSource};
pub use embedded::EmbeddedBroker;
pub use error::{Error, LogEnd};
pub use producer::Producer;
pub use properties::{Properties, TOKEN};
pub use settings::{Settings, Start};
