//! What the table says of its plugins, and installing another component in a plugin's place.

pub(super) mod list;

pub(super) mod history;
pub(super) mod promote;
pub(super) mod rollback;

mod history_format;
mod install;
mod opened;
mod starts;

#[cfg(test)]
mod tests;
