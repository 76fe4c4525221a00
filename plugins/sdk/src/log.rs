//! Lines for the host's log. They must never hold values of events. In unit tests, get them with
//! [`testing::take_log`](crate::testing::take_log).

pub use crate::abi::audit_host::plugin::log::Level;
#[cfg(target_arch = "wasm32")]
use crate::abi::audit_host::plugin::log::write;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::log::write;

/// For the plugin's author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// A change of state.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something went wrong and was handled.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// A person must act.
pub fn error(message: &str) {
    write(Level::Error, message);
}
