//! The log of the host, captured.

use std::cell::RefCell;

use crate::abi::audit_host::plugin::log::Level;

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// The log lines of this thread since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    LOG.take()
}

pub(crate) fn write(level: Level, message: &str) {
    LOG.with_borrow_mut(|log| log.push((level, message.to_owned())));
}
