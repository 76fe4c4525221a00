//! Commits epochs, and finishes what they left in their outboxes.

use std::sync::Arc;

use audit_core::{Epoch, Kind, Offsets, Outbox, PluginState, TopicPartition, text};
use iceberg::spec::{DataFile, deserialize_data_file_from_json};
use iceberg::table::Table;

use crate::audit::{lineage, provenance};
use crate::error::Error;
use crate::table::commit::{CommitCheck, TableChange, commit};
use crate::table::lane::{LaneMark, done_in};
use crate::table::outbox::{Pointer, digest_of, pending_in};
use crate::table::{AuditTable, names};

impl AuditTable {
    pub(super) async fn store_outbox(&mut self, epoch: &Epoch) -> Result<Outbox, Error> {
        let mut outbox = Outbox {
            epoch_id: epoch.staged.epoch_id.clone(),
            location: None,
            dead_letter_files: epoch.staged.dead_letter_files.clone(),
            covered: epoch.covered.clone(),
            alerts: epoch.alerts.clone(),
        };
        if !outbox.dead_letter_files.is_empty() || !outbox.alerts.is_empty() {
            let mut pointer = self.objects.put_outbox(&outbox).await?;
            pointer.sequence = Some(self.mark.next().sequence);
            outbox.location = Some(pointer.to_json());
        }
        Ok(outbox)
    }

    /// Seals and stores changed states; `None` if the table's pointer is still right.
    async fn store_states(&mut self, states: &[PluginState]) -> Result<Option<Pointer>, Error> {
        let Some(vault) = &self.settings.vault else { return Ok(None) };
        let digest = digest_of(states);
        if states.is_empty() || digest == self.state_digest {
            return Ok(None);
        }
        let pointer = self.objects.put_states(states, vault).await?;
        self.state_digest = digest;
        Ok(Some(pointer))
    }

    pub(super) async fn commit_epoch(
        &mut self,
        epoch: &Epoch,
        outbox: &Outbox,
    ) -> Result<(), Error> {
        if provenance::has_epoch(&self.rows, &outbox.epoch_id) {
            return Ok(());
        }
        let new_state = self.store_states(&epoch.states).await?;
        let plugins = lineage::after(&epoch.plugins, &epoch.changes);
        let next = self.mark.next();
        let mut remove = self.finished_properties();
        if epoch.states.is_empty() && self.state.is_some() {
            // No detector runs anymore: its state would be outdated if it were added again.
            remove.push(names::state_property(&self.settings.group));
        }
        let change = TableChange {
            files: data_files(&self.rows, &epoch.staged.data_files)?,
            summary: self.summary_of(epoch, outbox, new_state.as_ref(), &next),
            set: self.properties_of(epoch, outbox, new_state.as_ref(), &plugins),
            remove,
        };
        self.commit_change(next, change, &epoch.covered).await?;
        self.finished.clear();
        self.plugins = Some(plugins);
        self.known.extend(epoch.covered.iter().map(|(at, span)| (at.clone(), span.next)));
        if new_state.is_some() {
            self.state = new_state;
        } else if epoch.states.is_empty() {
            // The same state must be stored again if it comes back.
            (self.state, self.state_digest) = (None, Arc::from([]));
        }
        Ok(())
    }

    /// The lane keeps other instances away. Other programs can still edit a property.
    pub(super) fn check_offsets(&self, table: &Table, covered: &Offsets) -> CommitCheck {
        let properties = table.metadata().properties();
        for (at, span) in covered.iter() {
            let found = properties.get(&names::offset_property(&self.settings.group, at));
            let is_as_known = match (found, self.known.get(at)) {
                (Some(text), _) => *text == span.start.to_string(),
                // The property was removed, but a snapshot still has the offset.
                (None, Some(known)) => *known == span.start,
                // A partition that was added after the start.
                (None, None) => true,
            };
            if !is_as_known {
                return CommitCheck::Refused(changed(at, span.start, found));
            }
        }
        CommitCheck::Ready
    }

    fn summary_of(
        &self,
        epoch: &Epoch,
        outbox: &Outbox,
        state: Option<&Pointer>,
        next: &LaneMark,
    ) -> std::collections::HashMap<String, String> {
        let mut summary = provenance::summary(&self.settings, epoch, next);
        // Whoever removes objects that the table no longer names finds them here.
        if let Some(pointer) = state {
            summary.insert(names::SUMMARY_STATE.to_owned(), pointer.sha256.clone());
        }
        if let Some(pointer) = outbox.location.as_deref().and_then(Pointer::read) {
            summary.insert(names::SUMMARY_OUTBOX.to_owned(), pointer.sha256);
        }
        summary
    }

    fn properties_of(
        &self,
        epoch: &Epoch,
        outbox: &Outbox,
        state: Option<&Pointer>,
        plugins: &[audit_core::PluginId],
    ) -> Vec<(String, String)> {
        let group = &self.settings.group;
        let mut set: Vec<_> = epoch
            .covered
            .iter()
            .map(|(at, span)| (names::offset_property(group, at), span.next.to_string()))
            .collect();
        let leaders = epoch.covered.iter().filter_map(|(at, span)| {
            let last = span.leader_epoch.as_ref()?;
            Some((names::leader_epoch_property(group, at), names::leader_epoch_text(last)))
        });
        set.extend(leaders);
        if let Some(pointer) = &outbox.location {
            set.push((names::pending_property(group, &outbox.epoch_id), pointer.clone()));
        }
        if let Some(sequence) = letters_of(outbox) {
            set.push((names::letters_property(group), sequence.to_string()));
        }
        if let Some(pointer) = state {
            set.push((names::state_property(group), pointer.to_json()));
        }
        if let Some(witness) = &epoch.staged.witness {
            set.push((names::witness_property(group), witness.clone()));
        }
        let property = names::plugins_property(group);
        let plugins = serde_json::json!(plugins).to_string();
        if self.rows.metadata().properties().get(&property) != Some(&plugins) {
            set.push((property, plugins));
        }
        set.extend(self.pins.property(&self.rows, group));
        set
    }

    fn finished_properties(&self) -> Vec<String> {
        let group = &self.settings.group;
        self.finished.iter().map(|o| names::pending_property(group, &o.epoch_id)).collect()
    }

    /// Appends the outbox's dead letters, unless the table has them already.
    pub(super) async fn append(&mut self, outbox: &Outbox) -> Result<(), Error> {
        if outbox.dead_letter_files.is_empty() {
            return Ok(());
        }
        let group = &self.settings.group;
        let sequence = outbox.location.as_deref().and_then(Pointer::read).and_then(|p| p.sequence);
        let mut set = vec![
            (names::epoch_property(group), outbox.epoch_id.clone()),
            (names::FORMAT_PROPERTY.to_owned(), names::FORMAT.to_string()),
        ];
        if let Some(sequence) = sequence {
            set.push((names::done_property(group), sequence.to_string()));
        }
        let change = TableChange {
            files: data_files(&self.dead_letters, &outbox.dead_letter_files)?,
            summary: provenance::dead_letter_summary(group, &outbox.epoch_id),
            set,
            remove: Vec::new(),
        };
        let check = |table: &Table| check_dead_letters(table, group, outbox, sequence);
        let name = self.settings.name.dead_letters();
        self.dead_letters = commit(&self.store, &name, &self.dead_letters, &change, &check).await?;
        Ok(())
    }

    /// Removes finished outboxes from the table without waiting for the next epoch, and releases the lane if the run
    /// ends. Nothing is lost if it fails: the next start finds them done.
    pub(super) async fn forget(&mut self, is_end: bool) -> Result<(), Error> {
        let next = self.mark.next();
        let mut remove = self.finished_properties();
        if is_end {
            remove.push(names::holder_property(&self.settings.group));
        }
        let summary = provenance::lane_summary(&self.settings, &next);
        let change = TableChange { summary, remove, ..TableChange::default() };
        match self.commit_change(next, change, &Offsets::default()).await {
            Ok(()) => {
                self.finished.clear();
                Ok(())
            }
            Err(error) if error.kind() == Kind::Fenced => Err(error),
            Err(error) => {
                let error = text::one_line(&error);
                tracing::warn!(
                    error,
                    "could not clear finished epochs; they stay marked as pending"
                );
                Ok(())
            }
        }
    }

    /// Outboxes of this group that are named in the table, oldest first.
    pub(super) async fn pending(&mut self) -> Result<Vec<Outbox>, Error> {
        let mut outboxes = Vec::new();
        for pointer in pending_in(&self.rows, &self.settings.group)? {
            let mut outbox = self.objects.get_outbox(&pointer).await?;
            outbox.location = Some(pointer.to_json());
            outboxes.push((pointer.sequence, outbox));
        }
        // Those of older versions have no number; epoch ids begin with their time.
        outboxes.sort_by(|(a, one), (b, other)| (a, &one.epoch_id).cmp(&(b, &other.epoch_id)));
        Ok(outboxes.into_iter().map(|(_, outbox)| outbox).collect())
    }
}

/// The number of an epoch that has dead letters.
fn letters_of(outbox: &Outbox) -> Option<u64> {
    if outbox.dead_letter_files.is_empty() {
        return None;
    }
    Pointer::read(outbox.location.as_deref()?)?.sequence
}

fn changed(partition: &TopicPartition, ours: i64, found: Option<&String>) -> Error {
    let theirs = found.map_or_else(|| "no offset".to_owned(), Clone::clone);
    Error::OffsetChanged { partition: partition.clone(), ours, theirs }
}

/// Dead letters are appended in the order of their epochs. So one number says which are there, whatever snapshots have
/// expired; outboxes of older versions have none, and are looked for.
fn check_dead_letters(
    table: &Table,
    group: &str,
    outbox: &Outbox,
    sequence: Option<u64>,
) -> CommitCheck {
    let is_done = match (sequence, done_in(table, group)) {
        (_, Err(error)) => return CommitCheck::Refused(error),
        (Some(sequence), Ok(done)) => done >= Some(sequence),
        (None, Ok(_)) => {
            let last = table.metadata().properties().get(&names::epoch_property(group));
            last == Some(&outbox.epoch_id) || provenance::has_epoch(table, &outbox.epoch_id)
        }
    };
    if is_done { CommitCheck::Done } else { CommitCheck::Ready }
}

fn data_files(table: &Table, descriptors: &[String]) -> Result<Vec<DataFile>, Error> {
    let metadata = table.metadata();
    let read = |json: &String| {
        deserialize_data_file_from_json(
            json,
            metadata.default_partition_spec_id(),
            metadata.default_partition_type(),
            metadata.current_schema(),
        )
    };
    descriptors.iter().map(read).collect::<Result<_, _>>().map_err(Error::Files)
}
