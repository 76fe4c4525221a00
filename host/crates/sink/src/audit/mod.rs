//! What the table proves: which records, plugins and secrets its rows come from, and how that is read back.

pub(crate) mod provenance;
pub(crate) mod witness;

pub(crate) mod history;
pub(crate) mod lineage;
pub(crate) mod states;

pub(crate) mod ancestry;
pub(crate) mod components;
pub(crate) mod known_keys;
pub(crate) mod pins;
