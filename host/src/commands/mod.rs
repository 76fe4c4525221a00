//! The commands.

pub(crate) mod decrypt;
pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod plugin;
pub(crate) mod run;
pub(crate) mod table;

mod columns;
