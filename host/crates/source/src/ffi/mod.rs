//! The only module that calls librdkafka directly, for what rdkafka does not wrap: reading in batches, and the
//! ids of topics.

#![expect(unsafe_code, reason = "rdkafka has no safe wrapper for these calls")]

mod batch;
mod topic_id;

pub(crate) use batch::{BatchQueue, Message, MessageError};
pub(crate) use topic_id::topic_id;
