//! A small table in a temporary folder, and everything that may be done to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, MAIN_BRANCH, ManifestFile,
    ManifestListWriter, ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema,
    Snapshot, SnapshotReference, SnapshotRetention, Struct, Summary, Transform, Type,
    UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{TableCreation, TableUpdate};
use uuid::Uuid;

use crate::catalog::{CatalogSettings, Store};
use crate::table::names::{self, TableName};
use crate::table::outbox::Pointer;
use crate::table::swap::{Swapped, swap};
use crate::upkeep::{Rest, Upkeep, UpkeepSettings};

pub(super) const GROUP: &str = "g";

pub(super) fn settings(snapshots_min: usize) -> UpkeepSettings {
    UpkeepSettings {
        garbage_after: Duration::ZERO,
        data_garbage_after: Duration::ZERO,
        snapshots_min,
        hourly_for: Duration::ZERO,
    }
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) name: TableName,
    pub(super) folder: PathBuf,
    pub(super) n_epochs: i64,
    pub(super) group: &'static str,
    /// Live rows by the path of their file.
    pub(super) files: BTreeMap<String, u64>,
}

impl World {
    pub(super) async fn open(folder: &Path, properties: &[(&str, &str)]) -> Self {
        let settings = CatalogSettings {
            uri: format!("sqlite:{}", folder.join("catalog.db").display()),
            warehouse: folder.join("ware house").display().to_string(),
            name: "c".to_owned(),
        };
        let store = Store::open(&settings).await.unwrap();
        let name = TableName::parse("ns.t").unwrap();
        let ident = name.ident().unwrap();
        if !store.catalog.namespace_exists(ident.namespace()).await.unwrap() {
            store.catalog.create_namespace(ident.namespace(), HashMap::new()).await.unwrap();
            let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let creation = TableCreation::builder()
                .name("t".to_owned())
                .schema(schema())
                .partition_spec(spec())
                .properties(properties)
                .build();
            store.catalog.create_table(ident.namespace(), creation).await.unwrap();
        }
        let mut world = Self {
            store,
            name,
            folder: folder.to_owned(),
            n_epochs: 0,
            group: GROUP,
            files: BTreeMap::new(),
        };
        world.files = world.live_files().await;
        world.n_epochs = world.files.len() as i64;
        world
    }

    pub(super) async fn table(&self) -> Table {
        self.store.load(&self.name).await.unwrap()
    }

    pub(super) async fn swap(&self, updates: Vec<TableUpdate>) -> Table {
        match swap(&self.store, &self.name, &self.table().await, updates).await.unwrap() {
            Swapped::Done(table) => table,
            Swapped::Conflict => panic!("nobody else commits"),
        }
    }

    /// A file that exists, of a partition.
    fn data_file(table: &Table, day: i32) -> DataFile {
        let location = format!("{}/data/{}.parquet", table.metadata().location(), Uuid::now_v7());
        std::fs::create_dir_all(path_of(&location).parent().unwrap()).unwrap();
        std::fs::write(path_of(&location), b"rows").unwrap();
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(location)
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::from_iter([Some(Literal::int(day))]))
            .partition_spec_id(0)
            .record_count(1)
            .file_size_in_bytes(4)
            .build()
            .unwrap()
    }

    /// An epoch as the host commits it: rows, offsets, provenance, a state and an outbox.
    pub(super) async fn append(&mut self, plugin: &str) -> Table {
        let table = self.table().await;
        let day = i32::try_from(self.n_epochs / 10).unwrap();
        let file = Self::data_file(&table, day);
        self.files.insert(file.file_path().to_owned(), 1);
        let (start, next) = (self.n_epochs * 10, self.n_epochs * 10 + 10);
        self.n_epochs += 1;
        let (state, outbox) = (self.object("state"), self.object("outbox"));
        let id = serde_json::json!([{
            "name": plugin, "version": "1", "sha256": "aa", "config_sha256": "bb"
        }]);
        let mut summary = vec![
            (names::SUMMARY_GROUP, self.group.to_owned()),
            (names::SUMMARY_EPOCH, format!("e{start}")),
            (names::SUMMARY_VERSION, "test".to_owned()),
            (names::SUMMARY_PLUGINS, id.to_string()),
            (names::SUMMARY_OFFSETS, format!("{{\"t\":{{\"0\":[{start},{next},9,1]}}}}")),
            (names::SUMMARY_DEAD_LETTERS, "1".to_owned()),
            (names::SUMMARY_ALERTS, "2".to_owned()),
            ("audit-host.state", state.sha256.clone()),
            ("audit-host.outbox", outbox.sha256.clone()),
        ];
        if start % 700 == 0 {
            summary.push((names::SUMMARY_PLUGIN_CHANGES, change(start).to_string()));
        }
        let summary = summary.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let tx = Transaction::new(&table);
        let action = tx.fast_append().with_check_duplicate(false).add_data_files([file]);
        let tx = action.set_snapshot_properties(summary).apply(tx).unwrap();
        let set = tx.update_table_properties();
        let set = set.set(names::state_property(self.group), state.to_json());
        let tx =
            set.set(names::pending_property(self.group, "e"), outbox.to_json()).apply(tx).unwrap();
        tx.commit(self.store.catalog.as_ref()).await.unwrap()
    }

    fn object(&self, folder: &str) -> Pointer {
        let bytes = Uuid::now_v7().to_string();
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        let location = format!("{}/{folder}/{sha256}", self.store.own_folder());
        std::fs::create_dir_all(path_of(&location).parent().unwrap()).unwrap();
        std::fs::write(path_of(&location), bytes).unwrap();
        Pointer { group: GROUP.to_owned(), location, sha256, sequence: None }
    }

    /// Another program rewrites the files of one manifest into one, as compaction does.
    pub(super) async fn compact(&mut self, nth: usize) {
        let table = self.table().await;
        let metadata = table.metadata();
        let parent = metadata.current_snapshot().unwrap();
        let list = table.manifest_list_reader(parent).load().await.unwrap();
        let n = list.entries().len();
        let victim = &list.entries()[nth % n];
        let manifest = victim.load_manifest(table.file_io()).await.unwrap();
        let live: Vec<_> = manifest.entries().iter().filter(|entry| entry.is_alive()).collect();
        if live.is_empty() {
            return;
        }
        let id = i64::try_from(Uuid::new_v4().as_u128() >> 66).unwrap();
        let location = metadata.location().to_owned();
        let writer = |name: &str| {
            let output = table.file_io().new_output(format!("{location}/metadata/{name}.avro"));
            let spec = metadata.default_partition_spec().as_ref().clone();
            let schema = metadata.current_schema().clone();
            ManifestWriterBuilder::new(output.unwrap(), Some(id), schema, spec).build_v2_data()
        };
        let mut deleted = writer(&format!("del-{id}"));
        for entry in &live {
            let (file, sequence) = (entry.data_file().clone(), entry.sequence_number().unwrap());
            self.files.remove(file.file_path());
            deleted.add_delete_file(file, sequence, entry.file_sequence_number).unwrap();
        }
        let file = Self::data_file(&table, 0);
        self.files.insert(file.file_path().to_owned(), 1);
        let mut added = writer(&format!("add-{id}"));
        added.add_file(file, metadata.next_sequence_number()).unwrap();
        let mut manifests: Vec<ManifestFile> = list.entries().to_vec();
        manifests.remove(nth % n);
        manifests.push(deleted.write_manifest_file().await.unwrap());
        manifests.push(added.write_manifest_file().await.unwrap());
        let path = format!("{location}/metadata/snap-{id}.avro");
        let output = table.file_io().new_output(&path).unwrap().writer().await.unwrap();
        let (parent, sequence) = (Some(parent.snapshot_id()), metadata.next_sequence_number());
        let mut writer = ManifestListWriter::v2(output, id, parent, sequence);
        writer.add_manifests(manifests.into_iter()).unwrap();
        writer.close().await.unwrap();
        let properties = HashMap::new();
        let summary =
            Summary { operation: Operation::Overwrite, additional_properties: properties };
        let snapshot = Snapshot::builder()
            .with_manifest_list(path)
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .with_timestamp_ms(metadata.last_updated_ms() + 1)
            .build();
        self.swap(vec![TableUpdate::AddSnapshot { snapshot }, main(id)]).await;
    }

    /// Another program makes an older snapshot the current one.
    pub(super) async fn roll_back(&mut self, nth: usize) {
        let table = self.table().await;
        let mut ids: Vec<_> = table.metadata().snapshots().collect();
        ids.sort_by_key(|snapshot| snapshot.sequence_number());
        let id = ids[nth % ids.len()].snapshot_id();
        self.swap(vec![main(id)]).await;
        self.files = self.live_files().await;
    }

    pub(super) async fn tag(&self, nth: usize) {
        let table = self.table().await;
        let ids: Vec<_> = table.metadata().snapshots().map(|it| it.snapshot_id()).collect();
        let retention = SnapshotRetention::Tag { max_ref_age_ms: None };
        let reference = SnapshotReference::new(ids[nth % ids.len()], retention);
        let ref_name = format!("tag-{}", nth % 3);
        self.swap(vec![TableUpdate::SetSnapshotRef { ref_name, reference }]).await;
    }

    /// Another program expires snapshots and leaves their files.
    pub(super) async fn expire_elsewhere(&self, n_kept: usize) {
        let table = self.table().await;
        let metadata = table.metadata();
        let refs = crate::upkeep::retention::refs(metadata).unwrap();
        let expired =
            crate::upkeep::retention::expired(metadata, &refs, &settings(n_kept), i64::MAX);
        let snapshot_ids = expired.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        self.swap(vec![TableUpdate::RemoveSnapshots { snapshot_ids }]).await;
    }

    /// Steps until nothing is left to do; the budget is no part of it.
    pub(super) async fn settle(&self, upkeep: &mut Upkeep) -> usize {
        let mut commits = 0;
        loop {
            (upkeep.rest, upkeep.merge_rest) = (Rest::default(), Rest::default());
            let committed = upkeep.tend(&self.store, &self.name).await.unwrap();
            assert!(upkeep.warned.is_empty(), "{:?}", upkeep.warned);
            commits += usize::from(committed);
            if !committed && !upkeep.is_busy() {
                return commits;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Live files of the current snapshot, with their rows.
    pub(super) async fn live_files(&self) -> BTreeMap<String, u64> {
        let table = self.table().await;
        let Some(snapshot) = table.metadata().current_snapshot() else { return BTreeMap::new() };
        let mut files = BTreeMap::new();
        let list = table.manifest_list_reader(snapshot).load().await.unwrap();
        for manifest in list.entries() {
            let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let twice = files.insert(entry.file_path().to_owned(), entry.record_count());
                assert!(twice.is_none(), "{} is named twice", entry.file_path());
            }
        }
        files
    }

    /// Every file that the table names, and fails if one does not exist.
    pub(super) async fn check(&self) -> HashSet<String> {
        let table = self.table().await;
        let metadata = table.metadata();
        let mut named = HashSet::from([table.metadata_location().unwrap().to_owned()]);
        named.extend(metadata.metadata_log().iter().map(|it| it.metadata_file.clone()));
        named.extend(super::super::named::objects_in_properties(&self.store, &table));
        let history = super::super::history::History::read(&self.store, &table).await.unwrap();
        named.extend(history.named().map(str::to_owned));
        let head = super::super::garbage::Head::read(&self.store, &table).await.unwrap();
        named.extend(head.segments.iter().map(|it| it.location.clone()));
        let mut manifests = HashSet::new();
        for snapshot in metadata.snapshots() {
            named.insert(snapshot.manifest_list().to_owned());
            let list = table.manifest_list_reader(snapshot).load().await.unwrap();
            for manifest in list.entries() {
                if manifests.insert(manifest.manifest_path.clone()) {
                    let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
                    let live = manifest.entries().iter().filter(|entry| entry.is_alive());
                    named.extend(live.map(|entry| entry.file_path().to_owned()));
                }
            }
        }
        named.extend(manifests);
        for location in &named {
            assert!(path_of(location).exists(), "{location} is named and does not exist");
        }
        assert_eq!(self.live_files().await, self.files);
        named
    }

    /// The data files on the disk.
    pub(super) fn n_data_files(&self) -> usize {
        let mut found = Vec::new();
        walk(&self.folder.join("ware house/ns/t/data"), &mut found);
        found.len()
    }

    /// Files in the folder that nothing names, and that do not wait to be removed.
    pub(super) async fn orphans(&self) -> Vec<PathBuf> {
        let named = self.check().await;
        let named: HashSet<PathBuf> = named.iter().map(|location| path_of(location)).collect();
        let mut found = Vec::new();
        walk(&self.folder.join("ware house"), &mut found);
        found.retain(|path| !named.contains(path));
        found
    }
}

fn main(id: i64) -> TableUpdate {
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(id, retention);
    TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference }
}

fn schema() -> Schema {
    let fields = [(1, "id", PrimitiveType::Long), (2, "day", PrimitiveType::Int)];
    let fields = fields
        .map(|(id, name, kind)| NestedField::optional(id, name, Type::Primitive(kind)).into());
    Schema::builder().with_fields(fields).build().unwrap()
}

fn spec() -> UnboundPartitionSpec {
    let builder = UnboundPartitionSpec::builder();
    builder.add_partition_field(2, "day", Transform::Identity).unwrap().build()
}

pub(super) fn change(at: i64) -> serde_json::Value {
    let plugin = serde_json::json!({
        "kind": "state-lost", "plugin": "p", "source": "p.wasm", "at": at, "before": null,
        "after": null, "from": {}, "reason": "test"
    });
    serde_json::json!([plugin])
}

pub(super) fn path_of(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

pub(super) async fn history_of(world: &World) -> super::super::history::History {
    super::super::history::History::read(&world.store, &world.table().await).await.unwrap()
}
