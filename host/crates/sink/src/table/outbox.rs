//! The outbox: what must be done after a commit, stored outside the tables until it is done.
//!
//! Outboxes and states are content-addressed objects below `WAREHOUSE/.audit-host/`, each named by its SHA-256:
//! so a pointer in the table also proves that the object is the right one.

use std::sync::Arc;

use audit_core::{Alert, Offsets, Outbox, PluginId, PluginState, Span, TopicPartition};
use iceberg::io::FileIO;
use iceberg::table::Table;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::waits::Waits;
use crate::error::Error;
use crate::private;
use crate::table::names;
use crate::vault::Vault;

/// Where an object is, and its digest. The value of a table property, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) group: String,
    pub(crate) location: String,
    pub(crate) sha256: String,
    /// Of an outbox: the lane's number of its epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
}

impl Pointer {
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The pointer in a text that this crate wrote.
    pub(crate) fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    pub(crate) fn parse(property: &str, json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|cause| Error::Damaged {
            what: "the table property",
            location: property.to_owned(),
            problem: cause.to_string(),
        })
    }
}

/// The pointers to the outboxes of a group that a table names.
pub(crate) fn pending_in(table: &Table, group: &str) -> Result<Vec<Pointer>, Error> {
    let prefix = names::pending_prefix(group);
    let properties = table.metadata().properties().iter();
    let ours = properties.filter(|(key, _)| key.starts_with(&prefix));
    ours.map(|(property, json)| Pointer::parse(property, json)).collect()
}

/// The objects of one group.
pub(crate) struct Objects {
    pub(crate) file_io: FileIO,
    pub(crate) waits: Waits,
    /// `WAREHOUSE/.audit-host`.
    pub(crate) folder: String,
    pub(crate) group: String,
}

impl Objects {
    async fn put(&self, kind: &str, bytes: Vec<u8>) -> Result<Pointer, Error> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let location = format!("{}/{kind}/{sha256}", self.folder);
        let output = self.file_io.new_output(&location).map_err(Error::Files)?;
        self.waits.answered(output.write(bytes.into())).await.map_err(Error::Files)?;
        private::file(&location);
        Ok(Pointer { group: self.group.clone(), location, sha256, sequence: None })
    }

    async fn get(&self, what: &'static str, pointer: &Pointer) -> Result<Vec<u8>, Error> {
        let damaged =
            |problem| Error::Damaged { what, location: pointer.location.clone(), problem };
        // The pointer comes from the table, which others can write: it must not lead out of the folder.
        if !pointer.location.starts_with(&format!("{}/", self.folder))
            || pointer.location.contains("..")
        {
            let folder = &self.folder;
            return Err(damaged(format!(
                "it lies outside {folder}: is --warehouse that of the table?"
            )));
        }
        let input = self.file_io.new_input(&pointer.location).map_err(Error::Files)?;
        let bytes = match self.waits.answered(input.read()).await {
            Ok(bytes) => bytes,
            // Objects are kept for a while after the table stops naming them: one that is gone was named by a table that
            // is older than it should be.
            Err(_) if matches!(self.file_io.exists(&pointer.location).await, Ok(false)) => {
                return Err(damaged(
                    "it does not exist; if the catalog is an old copy, run `audit-host table register --latest`".into(),
                ));
            }
            Err(cause) => return Err(Error::Files(cause)),
        };
        if hex::encode(Sha256::digest(&bytes)) != pointer.sha256 {
            return Err(damaged("its SHA-256 is not the one of the table's pointer".into()));
        }
        Ok(bytes.to_vec())
    }

    pub(crate) async fn put_outbox(&self, outbox: &Outbox) -> Result<Pointer, Error> {
        let covered = outbox.covered.iter().map(|(p, span)| (p.clone(), *span)).collect();
        let wire = OutboxWire {
            format: OUTBOX_FORMAT,
            epoch: outbox.epoch_id.clone(),
            covered,
            dead_letter_files: outbox.dead_letter_files.clone(),
            alerts: outbox.alerts.clone(),
        };
        self.put("outbox", to_json(&wire)?).await
    }

    pub(crate) async fn get_outbox(&self, pointer: &Pointer) -> Result<Outbox, Error> {
        let what = "the outbox";
        let damaged =
            |problem| Error::Damaged { what, location: pointer.location.clone(), problem };
        let bytes = self.get(what, pointer).await?;
        let wire: OutboxWire =
            serde_json::from_slice(&bytes).map_err(|cause| damaged(cause.to_string()))?;
        if wire.format != OUTBOX_FORMAT {
            return Err(damaged(format!(
                "its format {} is not supported by this version",
                wire.format
            )));
        }
        let mut covered = Offsets::default();
        for (partition, span) in wire.covered {
            covered.cover(partition, span).map_err(|gap| damaged(gap.to_string()))?;
        }
        Ok(Outbox {
            epoch_id: wire.epoch,
            location: Some(pointer.location.clone()),
            dead_letter_files: wire.dead_letter_files,
            covered,
            alerts: wire.alerts,
        })
    }

    pub(crate) async fn put_states(
        &self,
        states: &[PluginState],
        vault: &Vault,
    ) -> Result<Pointer, Error> {
        let wire: Vec<_> = states.iter().map(StateWire::of).collect();
        let sealed = vault.seal(&to_json(&wire)?, &self.states_belong_to())?;
        self.put("state", sealed).await
    }

    pub(crate) async fn get_states(
        &self,
        pointer: &Pointer,
        vault: &Vault,
    ) -> Result<Vec<PluginState>, Error> {
        let what = "the detectors' state";
        let damaged =
            |problem| Error::Damaged { what, location: pointer.location.clone(), problem };
        let sealed = self.get(what, pointer).await?;
        let plain = vault.unseal(&sealed, &self.states_belong_to())?;
        let wire: Vec<StateWire> =
            serde_json::from_slice(&plain).map_err(|cause| damaged(cause.to_string()))?;
        wire.into_iter()
            .map(|state| {
                let bytes = hex::decode(&state.bytes).map_err(|e| damaged(e.to_string()))?;
                let state_version = state.state_version;
                let partition = state.partition;
                Ok(PluginState { plugin: state.plugin, partition, state_version, bytes })
            })
            .collect()
    }

    fn states_belong_to(&self) -> String {
        format!("detector state of group {}", self.group)
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|cause| Error::Damaged {
        what: "an object to be stored",
        location: "memory".to_owned(),
        problem: cause.to_string(),
    })
}

const OUTBOX_FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct OutboxWire {
    format: u32,
    epoch: String,
    covered: Vec<(TopicPartition, Span)>,
    dead_letter_files: Vec<String>,
    alerts: Vec<Alert>,
}

#[derive(Serialize, Deserialize)]
struct StateWire {
    plugin: PluginId,
    #[serde(default)]
    partition: Option<TopicPartition>,
    state_version: u32,
    /// Hex.
    bytes: String,
}

impl StateWire {
    fn of(state: &PluginState) -> Self {
        Self {
            plugin: state.plugin.clone(),
            partition: state.partition.clone(),
            state_version: state.state_version,
            bytes: hex::encode(&state.bytes),
        }
    }
}

/// A digest by which unchanged states are recognized.
pub(crate) fn digest_of(states: &[PluginState]) -> Arc<[u8]> {
    let mut hash = Sha256::new();
    for state in states {
        for part in [state.plugin.name.as_bytes(), state.plugin.sha256.as_bytes(), &state.bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(format!("{:?}", state.partition));
        hash.update(state.state_version.to_le_bytes());
    }
    hash.finalize().as_slice().into()
}
