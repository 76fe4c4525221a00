//! Makes a candidate of what is wanted, beside the stream: everything slow, and everything that can be known
//! before the swap.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use audit_chain::{Cancel, ChainControl, Engine, Plugin, PluginSource, Running};
use audit_core::KeyMark;
use audit_sink::PinBook;

use super::stored::{Storage, Stored};
use crate::config::PluginEntry;
use crate::error::Error;
use crate::golden;
use crate::plugins::admission::{Candidate, check_candidate};

/// A candidate that passed.
pub(super) struct Prepared {
    pub(super) plugin: Plugin,
    pub(super) stored: Stored,
    pub(super) fingerprint: String,
    /// Of the secrets that it may use.
    pub(super) marks: Vec<KeyMark>,
    /// What it declares, within what it may do.
    pub(super) candidate: Candidate,
}

/// What a candidate is prepared with, in a thread of its own.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) engine: Engine,
    pub(super) control: ChainControl,
    pub(super) storage: Storage,
    /// What the group has accepted.
    pub(super) pins: PinBook,
}

impl Workshop {
    /// Compiles and starts a candidate, checks that it may do what it declares, runs its own golden cases, has it
    /// take the state of the running version, and stores its component.
    pub(super) fn prepare(
        &self,
        entry: &PluginEntry,
        source: &PluginSource,
        current: Option<&Running>,
        fingerprint: String,
        cancel: &Cancel,
    ) -> Result<Prepared> {
        let engine = self.engine.for_candidate(cancel.clone());
        let (component, marks) = (Arc::clone(&source.component), source.marks());
        let mut plugin = Plugin::load(&engine, source.clone())?;
        if let Some(current) = current
            && current.id.name != plugin.id().name
        {
            let (found, running) = (plugin.id().name.clone(), current.id.name.clone());
            return Err(Error::OtherPlugin { found, running }.into());
        }
        let candidate = Candidate::new(entry, &plugin);
        check_candidate(&candidate, self.pins.get().as_ref())?;
        golden::prove(&engine, source).context("its own golden cases")?;
        // A state that it cannot take over is found out before anything is swapped.
        self.control.catch_up(&mut plugin)?;
        // The swap then knows what it hides, however long that takes. A failure comes again there, and is reported:
        // what it needs may be among others that are being prepared.
        let _ = self.control.prove_with(&plugin);
        let stored = self.storage.put(&plugin.id().sha256, &component)?;
        Ok(Prepared { plugin, stored, fingerprint, marks, candidate })
    }
}
