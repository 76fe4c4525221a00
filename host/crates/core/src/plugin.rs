//! The identity of a plugin, and the state of a detector.

use serde::{Deserialize, Serialize};

use crate::offset::TopicPartition;

/// A plugin as it ran: enough to fetch the same bytes and the same configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginId {
    pub name: String,
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// SHA-256 of the configuration's JSON, in hex.
    pub config_sha256: String,
}

/// The state of a detector at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginState {
    pub plugin: PluginId,
    /// The one partition that fed it; `None` where all partitions feed one state.
    pub partition: Option<TopicPartition>,
    pub state_version: u32,
    pub bytes: Vec<u8>,
}
