//! The audit table: rows, offsets, provenance and the pointer to the outbox in one transaction.

pub(crate) mod settings;

mod commit;
mod definition;
mod fence;
mod outbox;

pub(crate) mod names;
pub(crate) mod summary;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use audit_core::stage::Table as TableStage;
use audit_core::{Epoch, KeyMark, Outbox, PluginId, PluginState, TopicPartition, text};
use iceberg::spec::{DataFile, deserialize_data_file_from_json};
use iceberg::table::Table;

use crate::audit::components::ComponentStore;
use crate::audit::known_keys::KnownKeys;
use crate::audit::{lineage, provenance};
use crate::catalog::Store;
use crate::epoch::writer::{EpochWriter, WriterSettings};
use crate::error::Error;
use crate::table::commit::{CommitCheck, TableChange, commit};
use crate::table::definition::{open_audit_table, open_dead_letters};
use crate::table::outbox::{Objects, Pointer, digest_of};
use crate::table::settings::TableSettings;

/// The audit table and its dead letters, as one group writes them.
pub struct AuditTable {
    store: Store,
    settings: TableSettings,
    objects: Objects,
    rows: Table,
    dead_letters: Table,
    /// The offsets that the table held when it was last read: what the next epoch builds on.
    known: HashMap<TopicPartition, i64>,
    /// Outboxes that are done, but still named in the table.
    finished: Vec<Outbox>,
    state: Option<Pointer>,
    state_digest: Arc<[u8]>,
    /// The chain as recorded in the table.
    plugins: Option<Vec<PluginId>>,
}

impl AuditTable {
    /// Opens both tables; creates what is absent.
    pub async fn open(store: Store, settings: TableSettings) -> Result<Self, Error> {
        let rows = open_audit_table(&store, &settings.name, &settings.added_columns).await?;
        let dead_letters = open_dead_letters(&store, &settings.name.dead_letters()).await?;
        let objects = Objects {
            file_io: store.file_io.clone(),
            folder: store.own_folder(),
            group: settings.group.clone(),
        };
        let property = names::state_property(&settings.group);
        let state = match rows.metadata().properties().get(&property) {
            Some(json) => Some(Pointer::parse(&property, json)?),
            None => None,
        };
        let known = provenance::offsets(&rows, &settings.group, &settings.topics)?;
        let plugins = lineage::chain_in(&rows, &settings.group)?;
        let (finished, state_digest) = (Vec::new(), Arc::from([]));
        Ok(Self {
            store,
            settings,
            objects,
            rows,
            dead_letters,
            known,
            finished,
            state,
            state_digest,
            plugins,
        })
    }

    /// The offset to read next of every partition that the table knows.
    pub fn offsets(&self) -> &HashMap<TopicPartition, i64> {
        &self.known
    }

    /// The plugins when the group's last epoch ended; `None` before its first.
    pub fn plugins(&self) -> Option<&[PluginId]> {
        self.plugins.as_deref()
    }

    /// Kafka's ids of the topics whose offsets the table holds, as given to [`AuditTable::claim`].
    pub fn topic_ids(&self) -> HashMap<String, String> {
        let properties = self.rows.metadata().properties();
        let id_of = |topic: &String| {
            let property = names::topic_id_property(&self.settings.group, topic);
            Some((topic.clone(), properties.get(&property)?.clone()))
        };
        self.settings.topics.iter().filter_map(id_of).collect()
    }

    /// The secrets whose values the table may hold.
    pub fn keys(&self) -> KnownKeys {
        KnownKeys::of(self.rows.metadata().properties())
    }

    /// Records which secrets are used, and where reading starts, before the first record is read. So the next start
    /// knows a partition even if it had no records, or if a crash ended its first epoch. Otherwise it would
    /// choose the start again, and `--start latest` would skip everything that arrived in between.
    pub async fn claim(
        &mut self,
        starts: &HashMap<TopicPartition, i64>,
        topic_ids: &HashMap<String, String>,
        secrets: &[KeyMark],
    ) -> Result<(), Error> {
        self.keys().check(secrets)?;
        let group = &self.settings.group;
        let properties = self.rows.metadata().properties();
        let offsets =
            starts.iter().map(|(at, start)| (names::offset_property(group, at), start.to_string()));
        let ids = topic_ids
            .iter()
            .map(|(topic, id)| (names::topic_id_property(group, topic), id.clone()));
        let marks =
            secrets.iter().map(|mark| (names::key_property(mark), mark.fingerprint.clone()));
        let set: Vec<_> = offsets
            .chain(ids)
            .chain(marks)
            .filter(|(key, _)| !properties.contains_key(key))
            .collect();
        if set.is_empty() {
            return Ok(());
        }
        let change = TableChange { set, ..TableChange::default() };
        // Of two instances that start together one writes, and the other adopts what it finds: if it started
        // elsewhere, its first commit is fenced.
        let keys: Vec<_> = change.set.iter().map(|(key, _)| key.clone()).collect();
        let check = |table: &Table| {
            let done = keys.iter().any(|key| table.metadata().properties().contains_key(key));
            if done { CommitCheck::Done } else { CommitCheck::Ready }
        };
        let committed =
            commit(&self.store, &self.settings.name, &self.rows, &change, &check).await?;
        self.rows = committed.table;
        self.known = provenance::offsets(&self.rows, group, &self.settings.topics)?;
        self.keys().check(secrets)
    }

    /// The state of the group's detectors at those offsets.
    pub async fn states(&self) -> Result<Vec<PluginState>, Error> {
        match (&self.state, &self.settings.vault) {
            (None, _) => Ok(Vec::new()),
            (Some(pointer), Some(vault)) => self.objects.get_states(pointer, vault).await,
            (Some(_), None) => Err(Error::NoKey),
        }
    }

    /// A writer of files for these tables.
    pub fn writer(&self, settings: WriterSettings) -> Result<EpochWriter, Error> {
        EpochWriter::new(self.rows.clone(), self.dead_letters.clone(), settings)
    }

    /// The components of the plugins that ran with this warehouse.
    pub fn components(&self) -> ComponentStore {
        self.store.components()
    }

    /// Where the table's files are.
    pub fn location(&self) -> &str {
        self.rows.metadata().location()
    }

    async fn store_outbox(&mut self, epoch: &Epoch) -> Result<Outbox, Error> {
        let mut outbox = Outbox {
            epoch_id: epoch.staged.epoch_id.clone(),
            location: None,
            dead_letter_files: epoch.staged.dead_letter_files.clone(),
            covered: epoch.covered.clone(),
            alerts: epoch.alerts.clone(),
        };
        if !outbox.dead_letter_files.is_empty() || !outbox.alerts.is_empty() {
            let pointer = self.objects.put_outbox(&outbox).await?;
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

    async fn commit_epoch(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), Error> {
        let new_state = self.store_states(&epoch.states).await?;
        let plugins = lineage::after(&epoch.plugins, &epoch.changes);
        let group = self.settings.group.clone();
        let mut remove: Vec<_> = self.finished_properties();
        if epoch.states.is_empty() && self.state.is_some() {
            // No detector runs anymore: its state would be outdated if it were added again.
            remove.push(names::state_property(&group));
        }
        let change = TableChange {
            files: data_files(&self.rows, &epoch.staged.data_files)?,
            summary: provenance::summary(&self.settings, epoch),
            set: self.properties_of(epoch, outbox, new_state.as_ref(), &plugins),
            remove,
        };
        let known = &self.known;
        let check = |table: &Table| check_epoch(table, &group, known, epoch, &outbox.epoch_id);
        let committed =
            commit(&self.store, &self.settings.name, &self.rows, &change, &check).await?;
        if let CommitCheck::Conflict { partition, ours, theirs } = committed.check {
            return Err(Error::Fenced { partition, group, ours, theirs });
        }
        let before = std::mem::replace(&mut self.rows, committed.table);
        self.plugins = Some(plugins);
        self.known.extend(epoch.covered.iter().map(|(at, span)| (at.clone(), span.next)));
        self.drop_old_metadata(&before).await;
        self.drop_finished().await;
        let old_state = match new_state {
            Some(pointer) => self.state.replace(pointer),
            None if epoch.states.is_empty() => {
                // The same state must be stored again if it comes back.
                self.state_digest = Arc::from([]);
                self.state.take()
            }
            None => None,
        };
        if let Some(old) = old_state {
            self.objects.remove(&old.location).await;
        }
        Ok(())
    }

    fn finished_properties(&self) -> Vec<String> {
        let group = &self.settings.group;
        self.finished.iter().map(|o| names::pending_property(group, &o.epoch_id)).collect()
    }

    fn properties_of(
        &self,
        epoch: &Epoch,
        outbox: &Outbox,
        state: Option<&Pointer>,
        plugins: &[PluginId],
    ) -> Vec<(String, String)> {
        let group = &self.settings.group;
        let mut set: Vec<_> = epoch
            .covered
            .iter()
            .map(|(at, span)| (names::offset_property(group, at), span.next.to_string()))
            .collect();
        if let Some(pointer) = &outbox.location {
            set.push((names::pending_property(group, &outbox.epoch_id), pointer.clone()));
        }
        if let Some(pointer) = state {
            set.push((names::state_property(group), pointer.to_json()));
        }
        let property = names::plugins_property(group);
        let plugins = serde_json::json!(plugins).to_string();
        if self.rows.metadata().properties().get(&property) != Some(&plugins) {
            set.push((property, plugins));
        }
        set
    }

    /// Appends the outbox's dead letters, unless the table has them already.
    async fn append(&mut self, outbox: &Outbox) -> Result<(), Error> {
        if outbox.dead_letter_files.is_empty() {
            return Ok(());
        }
        let group = &self.settings.group;
        let last_epoch = names::epoch_property(group);
        let change = TableChange {
            files: data_files(&self.dead_letters, &outbox.dead_letter_files)?,
            summary: provenance::dead_letter_summary(group, &outbox.epoch_id),
            set: vec![(last_epoch.clone(), outbox.epoch_id.clone())],
            remove: Vec::new(),
        };
        let check = |table: &Table| {
            let last = table.metadata().properties().get(&last_epoch);
            let done =
                last == Some(&outbox.epoch_id) || provenance::has_epoch(table, &outbox.epoch_id);
            if done { CommitCheck::Done } else { CommitCheck::Ready }
        };
        let name = self.settings.name.dead_letters();
        let committed = commit(&self.store, &name, &self.dead_letters, &change, &check).await?;
        self.dead_letters = committed.table;
        Ok(())
    }

    /// Removes metadata files that the table's log no longer names. iceberg 0.10.1 ignores
    /// `write.metadata.delete-after-commit.enabled`, and each commit writes one.
    async fn drop_old_metadata(&self, before: &Table) {
        let now = self.rows.metadata();
        let logged: Vec<_> = now.metadata_log().iter().map(|l| l.metadata_file.as_str()).collect();
        for entry in before.metadata().metadata_log() {
            if !logged.contains(&entry.metadata_file.as_str()) {
                self.objects.remove(&entry.metadata_file).await;
            }
        }
    }

    async fn drop_finished(&mut self) {
        for outbox in std::mem::take(&mut self.finished) {
            let pointer = outbox.location.as_deref().and_then(|json| Pointer::parse("", json).ok());
            if let Some(pointer) = pointer {
                self.objects.remove(&pointer.location).await;
            }
        }
    }

    /// Removes finished outboxes from the table without waiting for the next epoch.
    async fn forget(&mut self) -> Result<(), Error> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let change = TableChange { remove: self.finished_properties(), ..TableChange::default() };
        let check = |table: &Table| {
            let properties = table.metadata().properties();
            let done = !change.remove.iter().any(|key| properties.contains_key(key));
            if done { CommitCheck::Done } else { CommitCheck::Ready }
        };
        let committed =
            commit(&self.store, &self.settings.name, &self.rows, &change, &check).await?;
        let before = std::mem::replace(&mut self.rows, committed.table);
        self.drop_old_metadata(&before).await;
        self.drop_finished().await;
        Ok(())
    }

    async fn pending(&mut self) -> Result<Vec<Outbox>, Error> {
        let prefix = names::pending_prefix(&self.settings.group);
        let properties = self.rows.metadata().properties();
        let ours = properties.iter().filter(|(key, _)| key.starts_with(&prefix));
        let mut outboxes = Vec::new();
        for (property, json) in ours {
            let pointer = Pointer::parse(property, json)?;
            let mut outbox = self.objects.get_outbox(&pointer).await?;
            outbox.location = Some(json.clone());
            outboxes.push(outbox);
        }
        // Epoch ids begin with their time.
        outboxes.sort_by(|a, b| a.epoch_id.cmp(&b.epoch_id));
        Ok(outboxes)
    }
}

#[async_trait]
impl TableStage for AuditTable {
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, audit_core::Error> {
        Ok(self.pending().await?)
    }

    async fn stage(&mut self, epoch: &Epoch) -> Result<Outbox, audit_core::Error> {
        Ok(self.store_outbox(epoch).await?)
    }

    async fn commit(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), audit_core::Error> {
        Ok(self.commit_epoch(epoch, outbox).await?)
    }

    async fn append_dead_letters(&mut self, outbox: &Outbox) -> Result<(), audit_core::Error> {
        Ok(self.append(outbox).await?)
    }

    fn finish(&mut self, outbox: Outbox) {
        if outbox.location.is_some() {
            self.finished.push(outbox);
        }
    }

    async fn forget_finished(&mut self) -> Result<(), audit_core::Error> {
        // Nothing depends on it: the next commit or the next start removes what is left.
        if let Err(error) = self.forget().await {
            let error = text::one_line(&error);
            tracing::warn!(error, "could not clear finished epochs; they stay marked as pending");
        }
        Ok(())
    }
}

/// Compares a table with what an epoch builds on: the known offsets, at which it starts.
fn check_epoch(
    table: &Table,
    group: &str,
    known: &HashMap<TopicPartition, i64>,
    epoch: &Epoch,
    epoch_id: &str,
) -> CommitCheck {
    let moved = epoch.covered.iter().find_map(|(at, span)| {
        let property = names::offset_property(group, at);
        let found = table.metadata().properties().get(&property);
        let known = known.get(at);
        let is_as_known = match (found, known) {
            (Some(text), Some(offset)) => *text == offset.to_string() && *offset == span.start,
            // A partition that was added after the start.
            (None, None) => true,
            // The property was removed, but a snapshot still has the offset.
            (None, Some(offset)) => *offset == span.start,
            (Some(_), None) => false,
        };
        (!is_as_known).then(|| (at.clone(), span.start, found))
    });
    let reads_on = epoch.covered.iter().any(|(_, span)| span.start < span.next);
    match moved {
        None if reads_on => CommitCheck::Ready,
        // Without a record (only alerts, or changes of the chain) no offset shows whether it is done.
        None | Some(_) if provenance::has_epoch(table, epoch_id) => CommitCheck::Done,
        None => check_without_records(table, group, known),
        Some((partition, ours, theirs)) => {
            let theirs = theirs.map_or_else(|| "no offset".to_owned(), Clone::clone);
            CommitCheck::Conflict { partition, ours, theirs }
        }
    }
}

/// An epoch that moves no offset builds on all known offsets: an instance that another one has overtaken must not
/// change the chain.
fn check_without_records(
    table: &Table,
    group: &str,
    known: &HashMap<TopicPartition, i64>,
) -> CommitCheck {
    let properties = table.metadata().properties();
    let overtaken = known.iter().find_map(|(at, offset)| {
        let found = properties.get(&names::offset_property(group, at))?;
        (*found != offset.to_string()).then(|| (at.clone(), *offset, found.clone()))
    });
    match overtaken {
        None => CommitCheck::Ready,
        Some((partition, ours, theirs)) => CommitCheck::Conflict { partition, ours, theirs },
    }
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
