//! The files of an epoch: rows by partition, dead letters, and the rows that the host writes itself.

pub(crate) mod writer;

pub(crate) mod dead_letter;
pub(crate) mod digest;
pub(crate) mod partition;
pub(crate) mod system_rows;

pub(crate) mod columns;
pub(crate) mod files;
pub(crate) mod location;
pub(crate) mod open_files;
