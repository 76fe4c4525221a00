//! WebAssembly: the engine, one instance with its limits, and what crosses the boundary of a guest.

pub(crate) mod engine;

pub(crate) mod cache;
pub(crate) mod code;
pub(crate) mod compile;
mod config;
mod rlimits;

pub(crate) mod component;
pub(crate) mod cost;
pub(crate) mod instance;

pub(crate) mod host;

pub(crate) mod abi;
pub(crate) mod failure;
pub(crate) mod keys;
pub(crate) mod mask;
pub(crate) mod scrub;
pub(crate) mod vocabulary;
