//! What the end-to-end tests share: a Kafka node, the program under test, and readers that are not ours.

#![forbid(unsafe_code)]

pub mod case;

pub mod broker;
pub mod kafka;

pub mod program;
pub mod table;

pub mod bombs;
pub mod chain;
pub mod hostile;

pub mod env;
pub mod files;
pub mod json;
