//! The audit table: rows, offsets, provenance and the pointer to the outbox in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Field;
use async_trait::async_trait;
use audit_core::stage::Table as TableStage;
use audit_core::{Epoch, Offsets, Outbox, PluginState, TopicPartition};
use iceberg::spec::{DataFile, deserialize_data_file_from_json};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use crate::catalog::Store;
use crate::definition::{failed, open_audit_table, open_dead_letters};
use crate::error::Error;
use crate::fence::FencedCatalog;
use crate::names::{self, TableName};
use crate::outbox::{Objects, Pointer, digest_of};
use crate::vault::Vault;
use crate::writer::{EpochWriter, WriterSettings};

/// How often a commit is tried when the catalog fails or answers nothing.
const COMMIT_ATTEMPTS_MAX: u32 = 6;
/// The pause after a failed attempt; doubles each time.
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// Which table, and on whose behalf.
#[derive(Debug, Clone)]
pub struct TableSettings {
    pub name: TableName,
    pub group: String,
    pub topics: Vec<String>,
    /// Columns that transforms add.
    pub added_columns: Vec<Field>,
    /// Seals what detectors remember; without it nothing of that is kept.
    pub vault: Option<Arc<Vault>>,
    /// The version of the program, for provenance.
    pub host_version: String,
}

/// The audit table and its dead letters, as one group writes them.
pub struct AuditTable {
    store: Store,
    settings: TableSettings,
    objects: Objects,
    rows: Table,
    dead_letters: Table,
    /// Outboxes that are done and still named in the table.
    finished: Vec<Outbox>,
    state: Option<Pointer>,
    state_digest: Arc<[u8]>,
}

impl AuditTable {
    /// Opens both tables; creates what is absent.
    pub async fn open(store: Store, settings: TableSettings) -> Result<Self, Error> {
        let rows = open_audit_table(&store, &settings.name, &settings.added_columns).await?;
        let dead_letters = open_dead_letters(&store, &settings.name.dead_letters()).await?;
        let objects = Objects {
            file_io: store.file_io.clone(),
            folder: format!("{}/.audit-host", store.warehouse),
            group: settings.group.clone(),
        };
        let property = names::state_property(&settings.group);
        let state = match rows.metadata().properties().get(&property) {
            Some(json) => Some(Pointer::parse(&property, json)?),
            None => None,
        };
        let (finished, state_digest) = (Vec::new(), Arc::from([]));
        Ok(Self { store, settings, objects, rows, dead_letters, finished, state, state_digest })
    }

    /// The offset to read next of every partition that the table knows.
    pub fn offsets(&self) -> HashMap<TopicPartition, i64> {
        let properties = self.rows.metadata().properties();
        names::offsets_in(properties, &self.settings.group, &self.settings.topics)
    }

    /// What the group's detectors remembered at those offsets.
    pub async fn states(&self) -> Result<Vec<PluginState>, Error> {
        match (&self.state, &self.settings.vault) {
            (None, _) => Ok(Vec::new()),
            (Some(pointer), Some(vault)) => self.objects.get_states(pointer, vault).await,
            (Some(_), None) => Err(Error::Vault(
                "the table holds a sealed state of detectors: name the key that sealed it \
                 ([dead-letters] key-file), or start with another --group"
                    .to_owned(),
            )),
        }
    }

    /// A writer of files for these tables.
    pub fn writer(&self, settings: WriterSettings) -> Result<EpochWriter, Error> {
        EpochWriter::new(self.rows.clone(), self.dead_letters.clone(), settings)
    }

    /// Where the table's files are.
    pub fn location(&self) -> &str {
        self.rows.metadata().location()
    }

    async fn keep(&mut self, epoch: &Epoch) -> Result<Outbox, Error> {
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

    /// Seals and keeps changed states; `None` if the table's pointer is still right.
    async fn keep_states(&mut self, states: &[PluginState]) -> Result<Option<Pointer>, Error> {
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
        let new_state = self.keep_states(&epoch.states).await?;
        let change = Change {
            files: data_files(&self.rows, &epoch.staged.data_files)?,
            summary: summary_of(&self.settings, epoch),
            set: self.properties_of(epoch, outbox, new_state.as_ref()),
            remove: self.finished.iter().map(|o| names::pending_property(&o.epoch_id)).collect(),
        };
        let group = self.settings.group.clone();
        let fence = |table: &Table| stands_at(table, &group, &epoch.covered, &outbox.epoch_id);
        let committed =
            commit(&self.store, &self.settings.name, &self.rows, &change, &fence).await?;
        if let Stand::Elsewhere { partition, ours, theirs } = committed.stand {
            return Err(Error::Fenced { partition, group, ours, theirs });
        }
        let before = std::mem::replace(&mut self.rows, committed.table);
        self.drop_old_metadata(&before).await;
        self.drop_finished().await;
        if let Some(pointer) = new_state
            && let Some(old) = self.state.replace(pointer)
        {
            self.objects.remove(&old.location).await;
        }
        Ok(())
    }

    fn properties_of(
        &self,
        epoch: &Epoch,
        outbox: &Outbox,
        state: Option<&Pointer>,
    ) -> Vec<(String, String)> {
        let group = &self.settings.group;
        let mut set: Vec<_> = epoch
            .covered
            .iter()
            .map(|(at, span)| (names::offset_property(group, at), span.next.to_string()))
            .collect();
        if let Some(pointer) = &outbox.location {
            set.push((names::pending_property(&outbox.epoch_id), pointer.clone()));
        }
        if let Some(pointer) = state {
            set.push((names::state_property(group), pointer.to_json()));
        }
        set
    }

    /// Appends the outbox's dead letters, unless their table is past these offsets already.
    async fn append(&mut self, outbox: &Outbox) -> Result<(), Error> {
        if outbox.dead_letter_files.is_empty() {
            return Ok(());
        }
        let group = self.settings.group.clone();
        let set = outbox
            .covered
            .iter()
            .map(|(at, span)| (names::offset_property(&group, at), span.next.to_string()));
        let change = Change {
            files: data_files(&self.dead_letters, &outbox.dead_letter_files)?,
            summary: HashMap::from([
                (names::SUMMARY_EPOCH.to_owned(), outbox.epoch_id.clone()),
                (names::SUMMARY_GROUP.to_owned(), group.clone()),
            ]),
            set: set.collect(),
            remove: Vec::new(),
        };
        // Outboxes are emptied in order, so that a table past one of the offsets has all of them.
        let fence = |table: &Table| {
            let done = outbox.covered.iter().any(|(at, span)| {
                offset_in(table, &group, at).is_some_and(|offset| offset >= span.next)
            });
            if done { Stand::Done } else { Stand::Ready }
        };
        let name = self.settings.name.dead_letters();
        let committed = commit(&self.store, &name, &self.dead_letters, &change, &fence).await?;
        self.dead_letters = committed.table;
        Ok(())
    }

    /// Metadata files that fell out of the table's log. iceberg 0.10.1 ignores
    /// `write.metadata.delete-after-commit.enabled`, and a commit writes one each time.
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

    async fn forget(&mut self) -> Result<(), Error> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let name = &self.settings.name;
        let failed = |cause| failed("forgetting finished epochs of", name, cause);
        let tx = Transaction::new(&self.rows);
        let mut update = tx.update_table_properties();
        for outbox in &self.finished {
            update = update.remove(names::pending_property(&outbox.epoch_id));
        }
        let tx = update.apply(tx).map_err(failed)?;
        let after = tx.commit(self.store.catalog.as_ref()).await.map_err(failed)?;
        let before = std::mem::replace(&mut self.rows, after);
        self.drop_old_metadata(&before).await;
        self.drop_finished().await;
        Ok(())
    }

    async fn pending(&mut self) -> Result<Vec<Outbox>, Error> {
        let properties = self.rows.metadata().properties().clone();
        let mut outboxes = Vec::new();
        for (property, json) in properties.iter().filter(|(key, _)| names::is_pending(key)) {
            let pointer = Pointer::parse(property, json)?;
            if pointer.group == self.settings.group {
                let mut outbox = self.objects.get_outbox(&pointer).await?;
                outbox.location = Some(json.clone());
                outboxes.push(outbox);
            }
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
        Ok(self.keep(epoch).await?)
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
        Ok(self.forget().await?)
    }
}

/// What one commit does to a table.
struct Change {
    files: Vec<DataFile>,
    summary: HashMap<String, String>,
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

/// Where a table stands in the eyes of one commit.
enum Stand {
    /// The commit may build on it.
    Ready,
    /// The commit is in it.
    Done,
    /// Somebody else moved on.
    Elsewhere { partition: TopicPartition, ours: i64, theirs: String },
}

struct Committed {
    table: Table,
    stand: Stand,
}

/// Commits a change exactly once. The outcome of every attempt is read back from the catalog: an error
/// may hide a success, and iceberg-catalog-sql 0.10.1 can report a success that never was.
async fn commit(
    store: &Store,
    name: &TableName,
    base: &Table,
    change: &Change,
    stand: &(dyn Fn(&Table) -> Stand + Send + Sync),
) -> Result<Committed, Error> {
    let fenced = FencedCatalog {
        inner: Arc::clone(&store.catalog),
        may_commit: Box::new(|table| matches!(stand(table), Stand::Ready)),
    };
    let mut pause = COMMIT_PAUSE;
    let mut attempt = 1;
    loop {
        let tried = try_commit(base, &fenced, change).await;
        let table = store.catalog.load_table(base.identifier()).await;
        let cause = match (table, tried) {
            (Ok(table), tried) => match (stand(&table), tried) {
                (Stand::Ready, Err(cause)) => cause,
                (Stand::Ready, Ok(())) => iceberg::Error::new(
                    iceberg::ErrorKind::Unexpected,
                    "the catalog reported a success, but the table is as it was",
                ),
                (stand, _) => return Ok(Committed { table, stand }),
            },
            // The outcome is unknown until the table can be read again.
            (Err(unread), _) => unread,
        };
        if attempt >= COMMIT_ATTEMPTS_MAX {
            let epoch = change.summary.get(names::SUMMARY_EPOCH).cloned().unwrap_or_default();
            let (table, attempts) = (name.to_string(), attempt);
            return Err(Error::GaveUp { epoch, table, attempts, cause });
        }
        tracing::warn!(table = %name, attempt, error = %cause, "a commit failed; trying again");
        tokio::time::sleep(pause).await;
        attempt += 1;
        pause *= 2;
    }
}

async fn try_commit(
    base: &Table,
    fenced: &FencedCatalog<'_>,
    change: &Change,
) -> Result<(), iceberg::Error> {
    let tx = Transaction::new(base);
    let tx = tx
        .fast_append()
        // The check reads every manifest of the table on every commit. File names are unique, and the
        // fence keeps an epoch from being committed twice.
        .with_check_duplicate(false)
        .set_snapshot_properties(change.summary.clone())
        .add_data_files(change.files.clone())
        .apply(tx)?;
    let mut update = tx.update_table_properties();
    for (key, value) in &change.set {
        update = update.set(key.clone(), value.clone());
    }
    for key in &change.remove {
        update = update.remove(key.clone());
    }
    let tx = update.apply(tx)?;
    tx.commit(fenced).await.map(|_| ())
}

/// Compares a table's offsets with those that an epoch starts at.
fn stands_at(table: &Table, group: &str, covered: &Offsets, epoch_id: &str) -> Stand {
    let moved = covered.iter().find_map(|(at, span)| {
        let stands = offset_in(table, group, at)?;
        (stands != span.start).then(|| (at.clone(), span.start, stands))
    });
    let is_ours = || {
        let mut snapshots = table.metadata().snapshots();
        snapshots.any(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            summary.get(names::SUMMARY_EPOCH).is_some_and(|id| id == epoch_id)
        })
    };
    match moved {
        // An epoch always covers something, and moves at least one offset.
        None => Stand::Ready,
        Some(_) if is_ours() => Stand::Done,
        Some((partition, ours, theirs)) => {
            Stand::Elsewhere { partition, ours, theirs: theirs.to_string() }
        }
    }
}

fn offset_in(table: &Table, group: &str, at: &TopicPartition) -> Option<i64> {
    let property = names::offset_property(group, at);
    table.metadata().properties().get(&property).and_then(|offset| offset.parse().ok())
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

/// What the snapshot says of its epoch: enough to prove where every row came from.
fn summary_of(settings: &TableSettings, epoch: &Epoch) -> HashMap<String, String> {
    let offsets: Vec<_> = epoch
        .covered
        .iter()
        .map(|(at, span)| {
            serde_json::json!({
                "topic": at.topic, "partition": at.partition,
                "start": span.start, "next": span.next,
                "records": span.records, "holes": span.holes(),
            })
        })
        .collect();
    [
        (names::SUMMARY_VERSION, settings.host_version.clone()),
        (names::SUMMARY_GROUP, settings.group.clone()),
        (names::SUMMARY_EPOCH, epoch.staged.epoch_id.clone()),
        (names::SUMMARY_OFFSETS, serde_json::json!(offsets).to_string()),
        (names::SUMMARY_PLUGINS, serde_json::json!(epoch.plugins).to_string()),
        (names::SUMMARY_DEAD_LETTERS, epoch.staged.n_dead_letters.to_string()),
        (names::SUMMARY_ALERTS, epoch.alerts.len().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
