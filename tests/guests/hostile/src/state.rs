//! Snapshots and restores that go wrong.

use std::cell::Cell;

use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::configure::NASTY;
use crate::options::{Behavior, Table};
use crate::resources;

pub(crate) const TABLE: Table = &[
    ("snapshot-trap", Behavior::Snapshot(|_, _| core::arch::wasm32::unreachable())),
    ("snapshot-spin", Behavior::Snapshot(|_, _| resources::spin())),
    ("snapshot-huge", Behavior::Snapshot(|options, _| vec![b'x'; options.bytes_or(60 << 20)])),
    ("snapshot-empty", Behavior::Snapshot(|_, _| Vec::new())),
    ("snapshot-different", Behavior::Snapshot(|_, bytes| different(bytes))),
    ("restore-trap", Behavior::Restore(|_| core::arch::wasm32::unreachable())),
    ("restore-spin", Behavior::Restore(|_| resources::spin())),
    ("restore-refuse-version", Behavior::Restore(|_| Err(RestoreError::UnsupportedVersion))),
    ("restore-corrupt", Behavior::Restore(|_| Err(RestoreError::Corrupt("as asked".to_owned())))),
    (
        "restore-corrupt-nasty",
        Behavior::Restore(|_| Err(RestoreError::Corrupt(NASTY.repeat(10_000)))),
    ),
];

/// Other bytes each time, which `restore` does not take.
fn different(mut bytes: Vec<u8>) -> Vec<u8> {
    thread_local! {
        static N_CALLS: Cell<u64> = const { Cell::new(0) };
    }
    N_CALLS.set(N_CALLS.get() + 1);
    bytes.extend(N_CALLS.get().to_le_bytes());
    bytes
}
