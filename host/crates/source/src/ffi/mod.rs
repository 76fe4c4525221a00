//! The only module that calls librdkafka directly, for what rdkafka does not wrap: reading in batches, leader
//! epochs, the ids of topics, and tokens.

#![expect(unsafe_code, reason = "rdkafka has no safe wrapper for these calls")]

mod notices;

mod batch;
mod epoch;
mod token;
mod topic_id;

pub(crate) use batch::{Bell, Message, MessageError, Queue, Received};
pub(crate) use epoch::set_leader_epoch;
pub(crate) use notices::{Client, DEBUG_CONTEXT, Notices, listen};
pub(crate) use token::{Token, set_token};
pub(crate) use topic_id::topic_id;
