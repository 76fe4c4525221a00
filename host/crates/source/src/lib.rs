//! Kafka: records in, and the little that the program sends back.
//!
//! Partitions are *assigned* at the offsets that the table holds, never subscribed to: Kafka's own
//! committed offsets are for lag tools only. All of rdkafka stays in this crate.

mod error;
mod settings;

mod assignment;
mod consumer;
mod ffi;

mod embedded;
mod producer;

pub use consumer::{Acknowledger, KafkaSource};
pub use embedded::EmbeddedBroker;
pub use error::Error;
pub use producer::Producer;
pub use settings::{Settings, Start};
