//! Faults: the answers by which a plugin says that it has none.

use crate::abi::audit_host::plugin::types::Fault;
use crate::configure::NASTY;
use crate::options::{Call, Deed, Table};

pub(crate) const TABLE: Table = &[
    ("fault-transient", Deed::Refuse(|_| Fault::Transient("as asked".to_owned()))),
    ("fault-bad-input", Deed::Refuse(|_| Fault::BadInput("as asked".to_owned()))),
    ("fault-other", Deed::Refuse(|call| Fault::Other(text(call)))),
];

/// Text that is long and meant for terminals.
fn text(call: &Call) -> String {
    NASTY.repeat(call.options.bytes_or(1 << 20) / NASTY.len())
}
