//! The audit table: rows, offsets, provenance and the pointer to the outbox in one commit.

pub(crate) mod settings;

pub(crate) mod capture;
pub(crate) mod clock;
pub(crate) mod commit;
mod definition;
mod epochs;
pub(crate) mod find;
pub(crate) mod lane;
pub(crate) mod open;
pub(crate) mod outbox;
pub(crate) mod swap;

pub(crate) mod names;
pub(crate) mod summary;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use audit_core::fail_point::reach;
use audit_core::stage::Table as TableStage;
use audit_core::{
    Epoch, KeyMark, LeaderEpoch, Offsets, Outbox, PluginId, PluginState, TopicPartition, text,
};
use iceberg::table::Table;

use crate::audit::components::ComponentStore;
use crate::audit::known_keys::KnownKeys;
use crate::audit::pins::{PinBook, pins_in};
use crate::audit::{ancestry, lineage, provenance};
use crate::catalog::Store;
use crate::epoch::digest::Digests;
use crate::epoch::writer::{EpochWriter, WriterSettings};
use crate::error::Error;
use crate::table::commit::{CommitCheck, TableChange, commit};
use crate::table::lane::{Holder, LaneMark, done_in, lane_in, letters_in};
use crate::table::outbox::{Objects, Pointer, pending_in};
use crate::table::settings::TableSettings;
use crate::upkeep::{Upkeep, UpkeepSettings, history};

/// The audit table and its dead letters, as one group writes them.
pub struct AuditTable {
    store: Store,
    settings: TableSettings,
    objects: Objects,
    rows: Table,
    dead_letters: Table,
    /// The lane's property as this process last read or wrote it: what every commit requires.
    lane: Option<String>,
    /// The number of the newest commit, in the words of this process.
    mark: LaneMark,
    /// The offsets that the table held when it was last read: what the next epoch builds on.
    known: HashMap<TopicPartition, i64>,
    /// Outboxes that are done, but still named in the table.
    finished: Vec<Outbox>,
    state: Option<Pointer>,
    state_digest: Arc<[u8]>,
    /// The chain as recorded in the table.
    plugins: Option<Vec<PluginId>>,
    pins: PinBook,
    /// Of the rows and of the dead letters.
    upkeep: [Upkeep; 2],
}

impl AuditTable {
    /// Opens both tables, and creates what is absent. Waits while another instance of the group that lives writes to
    /// them. Nothing is taken from it before [`AuditTable::claim`].
    pub async fn open(store: Store, settings: TableSettings) -> Result<Self, Error> {
        let rows = open::open_rows(&store, &settings).await?;
        let dead_letters = open::open_dead_letters(&store, &settings.name.dead_letters()).await?;
        let objects = Objects {
            file_io: store.file_io.clone(),
            waits: store.waits,
            folder: store.own_folder(),
            group: settings.group.clone(),
        };
        let group = &settings.group;
        ancestry::check_dead_letters(&settings.name.dead_letters(), &dead_letters, group)?;
        let properties = rows.metadata().properties();
        let property = names::state_property(group);
        let state = match properties.get(&property) {
            Some(json) => Some(Pointer::parse(&property, json)?),
            None => None,
        };
        let mut known = provenance::offsets(&rows, group, &settings.topics)?;
        let mut plugins = lineage::chain_in(&rows, group)?;
        let pins = PinBook::new(pins_in(&rows, group)?);
        let topics = &settings.topics;
        history::complete(&store, &rows, group, topics, &mut known, &mut plugins).await?;
        let run: String = uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect();
        let sequence = newest_sequence(&settings, &rows, &dead_letters)?;
        let mark = LaneMark { instance: settings.instance.clone(), run, sequence };
        let lane = properties.get(&names::lane_property(group)).cloned();
        let (finished, state_digest) = (Vec::new(), Arc::from([]));
        Ok(Self {
            store,
            settings,
            objects,
            rows,
            dead_letters,
            lane,
            mark,
            known,
            finished,
            state,
            state_digest,
            plugins,
            pins,
            upkeep: [
                Upkeep::new(UpkeepSettings::default()),
                Upkeep::new(UpkeepSettings::default()),
            ],
        })
    }

    /// Keeps both tables small in another way than the default.
    #[must_use]
    pub fn with_upkeep(mut self, settings: UpkeepSettings) -> Self {
        self.upkeep = [Upkeep::new(settings), Upkeep::new(settings)];
        self
    }

    /// The offset to read next of every partition that the table knows.
    pub fn offsets(&self) -> &HashMap<TopicPartition, i64> {
        &self.known
    }

    /// The plugins when the group's last epoch ended; `None` before its first.
    pub fn plugins(&self) -> Option<&[PluginId]> {
        self.plugins.as_deref()
    }

    /// What the group has accepted. A change of it is part of the next commit.
    pub fn pins(&self) -> PinBook {
        self.pins.clone()
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

    /// Which leaders wrote the last records before [`AuditTable::offsets`], where the brokers said so.
    pub fn leader_epochs(&self) -> Result<HashMap<TopicPartition, LeaderEpoch>, Error> {
        let properties = self.rows.metadata().properties();
        names::leader_epochs_in(properties, &self.settings.group, &self.settings.topics)
    }

    /// The secrets whose values the table may hold.
    pub fn keys(&self) -> KnownKeys {
        KnownKeys::of(self.rows.metadata().properties())
    }

    /// Takes the group's lane, and records which secrets are used and where reading starts, before the first record is
    /// read. So the next start knows a partition even if it had no records, or if a crash ended its first epoch.
    /// Otherwise it would choose the start again, and `--start latest` would skip everything that arrived in between.
    ///
    /// Fails if anybody has committed for the group since [`AuditTable::open`]: what was read there is old then.
    pub async fn claim(
        &mut self,
        starts: &HashMap<TopicPartition, i64>,
        topic_ids: &HashMap<String, String>,
        secrets: &[KeyMark],
    ) -> Result<(), Error> {
        self.keys().check(secrets)?;
        let next = self.mark.next();
        let mut summary = provenance::lane_summary(&self.settings, &next);
        summary.insert(names::SUMMARY_CLAIM.to_owned(), next.to_string());
        let mut set = self.absent_properties(starts, topic_ids, secrets);
        let group = &self.settings.group;
        set.extend(self.pins.property(&self.rows, group));
        set.extend([
            (names::holder_property(group), serde_json::json!(Holder::this()).to_string()),
            (names::FORMAT_PROPERTY.to_owned(), names::FORMAT.to_string()),
            (names::topics_property(group), serde_json::json!(self.settings.topics).to_string()),
        ]);
        let change = TableChange { summary, set, ..TableChange::default() };
        self.commit_change(next, change, &Offsets::default()).await?;
        reach("claim-written");
        let group = &self.settings.group;
        self.known = provenance::offsets(&self.rows, group, &self.settings.topics)?;
        self.keys().check(secrets)?;
        tracing::debug!(%group, lane = %self.mark, "claimed the lane");
        Ok(())
    }

    /// What a claim records unless the table has it.
    fn absent_properties(
        &self,
        starts: &HashMap<TopicPartition, i64>,
        topic_ids: &HashMap<String, String>,
        secrets: &[KeyMark],
    ) -> Vec<(String, String)> {
        let group = &self.settings.group;
        let properties = self.rows.metadata().properties();
        let offsets =
            starts.iter().map(|(at, start)| (names::offset_property(group, at), start.to_string()));
        let ids = topic_ids
            .iter()
            .map(|(topic, id)| (names::topic_id_property(group, topic), id.clone()));
        let marks =
            secrets.iter().map(|mark| (names::key_property(mark), mark.fingerprint.clone()));
        let all = offsets.chain(ids).chain(marks);
        all.filter(|(key, _)| !properties.contains_key(key)).collect()
    }

    /// Commits a change of the group, which covers these offsets, as number `next` of its lane.
    async fn commit_change(
        &mut self,
        next: LaneMark,
        mut change: TableChange,
        covered: &Offsets,
    ) -> Result<(), Error> {
        let group = &self.settings.group;
        let (property, written) = (names::lane_property(group), next.to_string());
        change.set.push((property, written.clone()));
        let check = |table: &Table| match self.check_lane(table, &written) {
            CommitCheck::Ready => self.check_offsets(table, covered),
            other => other,
        };
        let name = &self.settings.name;
        self.rows = commit(&self.store, name, &self.rows, &change, &check).await?;
        self.lane = Some(written);
        self.mark = next;
        Ok(())
    }

    /// Whether the lane is as this process last wrote it.
    fn check_lane(&self, table: &Table, next: &str) -> CommitCheck {
        let group = &self.settings.group;
        let found = table.metadata().properties().get(&names::lane_property(group));
        if found.map(String::as_str) == Some(next) {
            return CommitCheck::Done;
        }
        if found == self.lane.as_ref() {
            return CommitCheck::Ready;
        }
        let mark = |lane: Option<&String>| {
            lane.map_or_else(|| "no instance".to_owned(), |lane| text::clipped(lane, 300))
        };
        CommitCheck::Refused(Error::Fenced {
            group: group.clone(),
            table: self.settings.name.to_string(),
            ours: mark(self.lane.as_ref()),
            theirs: mark(found),
            hint: self.hint(found),
        })
    }

    /// What two instances of one name need to be told: a restart does not wait for itself.
    fn hint(&self, found: Option<&String>) -> &'static str {
        match found.and_then(|text| LaneMark::parse(text)) {
            Some(theirs) if theirs.run == self.mark.run => {
                " (it is an earlier commit of this process: the catalog was set back)"
            }
            Some(theirs) if theirs.instance == self.mark.instance => {
                " (both are called the same: each living instance needs its own --instance)"
            }
            _ => "",
        }
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
        let digests = match &self.settings.vault {
            Some(vault) => vault.digests(),
            None => Digests::of_warehouse(&self.store.own_folder())?,
        };
        EpochWriter::new(self.rows.clone(), self.dead_letters.clone(), settings, digests)
    }

    /// The components of the plugins that ran with this warehouse.
    pub fn components(&self) -> ComponentStore {
        self.store.components()
    }

    /// Where the table's files are.
    pub fn location(&self) -> &str {
        self.rows.metadata().location()
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
        if self.finished.is_empty() {
            return Ok(());
        }
        Ok(self.forget(false).await?)
    }

    async fn maintain(&mut self) -> Result<(), audit_core::Error> {
        let [rows, dead_letters] = &mut self.upkeep;
        let name = &self.settings.name;
        let group = &self.settings.group;
        if let Some(table) = rows.step(&self.store, name, &self.rows).await? {
            ancestry::check(name, &self.rows, &table, group).await?;
            self.rows = table;
        }
        let name = name.dead_letters();
        if let Some(table) = dead_letters.step(&self.store, &name, &self.dead_letters).await? {
            ancestry::check(&name, &self.dead_letters, &table, group).await?;
            self.dead_letters = table;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), audit_core::Error> {
        Ok(self.forget(true).await?)
    }
}

/// The number of the group's newest commit. Fails if one of the tables is older than the other.
fn newest_sequence(
    settings: &TableSettings,
    rows: &Table,
    dead_letters: &Table,
) -> Result<u64, Error> {
    let group = &settings.group;
    let (table, letters) = (settings.name.to_string(), settings.name.dead_letters().to_string());
    let sequence = lane_in(rows, group)?.map_or(0, |mark| mark.sequence);
    let done = done_in(dead_letters, group)?.unwrap_or(0);
    let group = group.clone();
    if done > sequence {
        return Err(Error::LettersAhead { table, letters, group, done, ours: sequence });
    }
    let pending = pending_in(rows, &group)?;
    let counted = letters_in(rows, &group)?.unwrap_or(0);
    let is_pending = pending.iter().any(|pointer| pointer.sequence == Some(counted));
    if done < counted && !is_pending {
        return Err(Error::LettersBehind { table, letters, group, done, ours: counted });
    }
    Ok(sequence)
}
