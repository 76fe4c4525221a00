//! The vocabulary of audit-host and its one loop.
//!
//! Everything here is pure: no socket, no file, no vendor crate but arrow. Sources, decoders, plugins
//! and tables are behind the traits of [`stage`], so that tests can drive [`pipeline`] with parts that
//! fail on demand.

#![forbid(unsafe_code)]

pub mod offset;
pub mod raw;
pub mod schema;
pub mod text;

pub mod alert;
pub mod batch;
pub mod change;
pub mod dead_letter;
pub mod epoch;
pub mod key_mark;
pub mod plugin;

pub mod counters;
pub mod error;
pub mod fail_point;
pub mod pipeline;
pub mod stage;

pub use alert::{Alert, Finding, Position, Severity};
pub use batch::{Batch, Judged, NextPart, Rejected, Remaining};
pub use change::{Change, ChangeKind, Changes, LookupChange, LookupChangeKind, PluginChange};
pub use counters::Counters;
pub use dead_letter::{DeadLetter, ReasonClass};
pub use epoch::{Budget, Epoch, Outbox, Staged};
pub use error::{Error, Kind};
pub use key_mark::KeyMark;
pub use offset::{LeaderEpoch, Offsets, Span, TopicPartition};
pub use plugin::{PluginId, PluginState};
pub use raw::{RawBatch, RawRecord};
