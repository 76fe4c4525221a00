//! The component of a candidate in the store: written before it runs, removed again unless it does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use audit_sink::ComponentStore;
use tokio::runtime::Handle;

/// Puts components of candidates beside the table. Cheap to clone.
#[derive(Clone)]
pub(super) struct Storage {
    components: ComponentStore,
    runtime: Handle,
    /// Digests of those that ran: a candidate may be the same component.
    ran: Arc<Mutex<HashSet<String>>>,
}

/// A component that is stored. Dropping it removes the component, unless it was kept or was there before.
pub(super) struct Stored {
    storage: Storage,
    sha256: String,
    component: Arc<[u8]>,
    is_new: bool,
}

impl Storage {
    pub(super) fn new(components: ComponentStore, runtime: Handle) -> Self {
        Self { components, runtime, ran: Arc::default() }
    }

    pub(super) fn put(&self, sha256: &str, component: &Arc<[u8]>) -> Result<Stored> {
        let stored = self.runtime.block_on(self.components.put(sha256, component));
        let is_new = stored.context("storing the component beside the table")?;
        let (storage, sha256) = (self.clone(), sha256.to_owned());
        Ok(Stored { storage, sha256, component: Arc::clone(component), is_new })
    }
}

impl Stored {
    /// The candidate runs, so the table will name its component.
    pub(super) fn keep(mut self) {
        let Storage { components, runtime, ran } = self.storage.clone();
        let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
        ran.insert(self.sha256.clone());
        self.is_new = false;
        // Another candidate with this component may have been refused meanwhile.
        if let Err(error) = runtime.block_on(components.put(&self.sha256, &self.component)) {
            tracing::error!(sha256 = self.sha256, %error, "component of a plugin that runs is not stored");
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !self.is_new {
            return;
        }
        let Storage { components, runtime, ran } = &self.storage;
        let ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
        if ran.contains(&self.sha256) {
            return;
        }
        if let Err(error) = runtime.block_on(components.remove(&self.sha256)) {
            tracing::warn!(sha256 = self.sha256, %error, "component of a rejected candidate stays stored");
        }
    }
}
