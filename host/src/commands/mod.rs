//! The commands.

pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod run;
