//! Faults: what a plugin returns instead of an answer.

use crate::abi::audit_host::plugin::types::Fault;
use crate::configure::NASTY;
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("fault-transient", Behavior::Refuse(|_| Fault::Transient("as asked".to_owned()))),
    ("fault-bad-input", Behavior::Refuse(|_| Fault::BadInput("as asked".to_owned()))),
    ("fault-other", Behavior::Refuse(|call| Fault::Other(text(call)))),
];

/// Text that is long and meant for terminals.
fn text(call: &Call) -> String {
    NASTY.repeat(call.options.bytes_or(1 << 20) / NASTY.len())
}
