//! What an author does with a plugin, without Kafka and without a table.

pub(super) mod new;

pub(super) mod build;
mod project;
mod sources;

pub(super) mod plugin_args;
mod text;

pub(super) mod check;
pub(super) mod inspect;
mod replaces;

pub(super) mod test;

pub(super) mod bench;
mod lines;
pub(super) mod run;
