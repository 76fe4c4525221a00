//! What a table names: a file that is named must never be removed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use iceberg::spec::{ManifestFile, ManifestList, Operation, SnapshotRef};
use iceberg::table::Table;

use crate::catalog::Store;
use crate::table::names;
use crate::table::outbox::Pointer;

/// The hashes of the manifests of a list. Two manifests of one hash are an error to the safe side: both count as
/// named.
type Hashes = HashSet<u64>;

/// The manifest lists that were read. Each is read once: it never changes.
#[derive(Debug, Default)]
pub(super) struct Lists {
    by_snapshot: HashMap<i64, Hashes>,
}

impl Lists {
    /// The manifests of a snapshot.
    pub(super) async fn of(
        &mut self,
        table: &Table,
        snapshot: &SnapshotRef,
    ) -> Result<&Hashes, iceberg::Error> {
        match self.by_snapshot.entry(snapshot.snapshot_id()) {
            Entry::Occupied(read) => Ok(read.into_mut()),
            Entry::Vacant(unread) => {
                let list = table.manifest_list_reader(snapshot).load().await?;
                let hashes = list.entries().iter().map(|entry| hash_of(&entry.manifest_path));
                Ok(unread.insert(hashes.collect()))
            }
        }
    }

    /// The hashes of every manifest that one of these snapshots names.
    pub(super) async fn live(&mut self, table: &Table, snapshots: &[&SnapshotRef]) -> Live {
        let mut live = Live { hashes: HashSet::new(), unread: None };
        for snapshot in ends(snapshots) {
            let read = self.of(table, snapshot).await;
            let Err(error) = read.map(|hashes| live.hashes.extend(hashes)) else { continue };
            if is_gone(table, snapshot.manifest_list()).await {
                // Nobody can read that snapshot.
                let (table, list) = (table.identifier(), snapshot.manifest_list());
                tracing::warn!(%table, list, "the manifest list of a snapshot does not exist");
                self.by_snapshot.insert(snapshot.snapshot_id(), HashSet::new());
            } else {
                live.unread = Some(error);
            }
        }
        live
    }

    /// How many lists must be read before [`Lists::live`] is cheap.
    pub(super) fn n_unread(&self, table: &Table) -> usize {
        let snapshots: Vec<_> = table.metadata().snapshots().collect();
        let unread = |it: &&&SnapshotRef| !self.by_snapshot.contains_key(&it.snapshot_id());
        ends(&snapshots).iter().filter(unread).count()
    }

    /// Adds the lists that another one has read.
    pub(super) fn add(&mut self, other: Self) {
        self.by_snapshot.extend(other.by_snapshot);
    }

    /// Forgets the lists of snapshots that are gone.
    pub(super) fn retain(&mut self, table: &Table) {
        let metadata = table.metadata();
        self.by_snapshot.retain(|id, _| metadata.snapshot_by_id(*id).is_some());
    }
}

/// The manifests that snapshots name.
pub(super) struct Live {
    pub(super) hashes: HashSet<u64>,
    /// Why a list could not be read: what else is named is then unknown.
    pub(super) unread: Option<iceberg::Error>,
}

/// The snapshots whose lists have the manifests of all.
pub(super) fn ends<'a>(snapshots: &[&'a SnapshotRef]) -> Vec<&'a SnapshotRef> {
    let covered = covered(snapshots.iter().copied());
    let mut ends = snapshots.to_vec();
    ends.retain(|snapshot| !covered.contains(&snapshot.snapshot_id()));
    ends
}

async fn is_gone(table: &Table, location: &str) -> bool {
    matches!(table.file_io().exists(location).await, Ok(false))
}

pub(super) fn hash_of(path: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(path)
}

/// Whether this program appended the snapshot: its list then has every manifest of its parent's.
fn is_own_append(snapshot: &SnapshotRef) -> bool {
    let summary = snapshot.summary();
    summary.operation == Operation::Append
        && (summary.additional_properties.contains_key(names::SUMMARY_GROUP)
            || summary.additional_properties.contains_key(names::SUMMARY_CLAIM))
}

/// The ids of the snapshots whose manifests are all in the list of a child: only the others need to be read. A
/// snapshot of another program is never among them: appending to it may leave out manifests that hold nothing but
/// deletions.
pub(super) fn covered<'a>(snapshots: impl Iterator<Item = &'a SnapshotRef>) -> HashSet<i64> {
    let own: Vec<_> = snapshots.filter(|snapshot| is_own_append(snapshot)).collect();
    let ids: HashSet<i64> = own.iter().map(|snapshot| snapshot.snapshot_id()).collect();
    let parents = own.iter().filter_map(|snapshot| snapshot.parent_snapshot_id());
    parents.filter(|parent| ids.contains(parent)).collect()
}

/// Files that the table names by themselves, without manifests: by location, and objects of ours by their digest.
pub(super) struct Named<'a> {
    locations: HashSet<&'a str>,
    /// Values of properties: a pointer in any of them, of any group, names its object.
    properties: Vec<&'a str>,
}

impl<'a> Named<'a> {
    pub(super) fn by(table: &'a Table) -> Self {
        let metadata = table.metadata();
        let mut locations: HashSet<&str> =
            metadata.snapshots().map(|snapshot| snapshot.manifest_list()).collect();
        locations.extend(table.metadata_location());
        let log = metadata.metadata_log().iter();
        locations.extend(log.map(|entry| entry.metadata_file.as_str()));
        locations.extend(metadata.statistics_iter().map(|file| file.statistics_path.as_str()));
        let partitions = metadata.partition_statistics_iter();
        locations.extend(partitions.map(|file| file.statistics_path.as_str()));
        let properties = metadata.properties().values().map(String::as_str);
        // A short value names nothing.
        let properties = properties.filter(|value| value.len() >= SHA256_HEX).collect();
        Self { locations, properties }
    }

    pub(super) fn has(&self, location: &str) -> bool {
        let name = location.rsplit('/').next().unwrap_or(location);
        self.locations.contains(location)
            || self.properties.iter().any(|value| value.contains(name))
    }
}

const SHA256_HEX: usize = 64;

/// The objects of ours that properties name.
pub(super) fn objects_in_properties(store: &Store, table: &Table) -> HashSet<String> {
    let own = format!("{}/", store.own_folder());
    let values = table.metadata().properties().iter();
    let pointers = values.filter(|(_, value)| value.starts_with('{'));
    let pointers = pointers.filter_map(|(name, value)| Pointer::parse(name, value).ok());
    pointers.map(|pointer| pointer.location).filter(|at| at.starts_with(&own)).collect()
}

/// The objects of ours that a snapshot's summary names.
pub(super) fn objects_in_summary(store: &Store, snapshot: &SnapshotRef) -> Vec<String> {
    let summary = &snapshot.summary().additional_properties;
    let object = |(key, folder): (&str, &str)| {
        let sha256 = summary.get(key)?;
        let is_digest = sha256.len() == SHA256_HEX && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| format!("{}/{folder}/{sha256}", store.own_folder()))
    };
    let keys = [(names::SUMMARY_STATE, "state"), (names::SUMMARY_OUTBOX, "outbox")];
    keys.into_iter().filter_map(object).collect()
}

/// Whether a file may be removed at all: the table's metadata can be written by others, and a file elsewhere is not
/// ours to remove.
pub(super) fn is_ours(store: &Store, table: &Table, location: &str) -> bool {
    let folders = [table.metadata().location().to_owned(), store.own_folder()];
    location.split('/').all(|part| part != ".." && part != ".")
        && folders.iter().any(|folder| is_below(folder, location))
}

/// Whether a file lies where no data file does.
pub(super) fn is_metadata(store: &Store, table: &Table, location: &str) -> bool {
    let folder = format!("{}/metadata", table.metadata().location().trim_end_matches('/'));
    is_below(&folder, location) || is_below(&store.own_folder(), location)
}

fn is_below(folder: &str, location: &str) -> bool {
    let rest = location.strip_prefix(folder.trim_end_matches('/'));
    // A second spelling of a file that the table names would not be found among the names.
    rest.and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|rest| rest.split('/').all(|part| !part.is_empty()))
}

/// The manifests of a list whose snapshot is gone from the metadata; `None` if the list is gone too.
pub(super) async fn manifests_in(
    table: &Table,
    list: &str,
) -> Result<Option<Vec<ManifestFile>>, iceberg::Error> {
    let file_io = table.file_io();
    if !file_io.exists(list).await? {
        return Ok(None);
    }
    let bytes = file_io.new_input(list)?.read().await?;
    let version = table.metadata().format_version();
    let list = ManifestList::parse_with_version(&bytes, version)?;
    Ok(Some(list.consume_entries().into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_file_has_one_spelling() {
        for (location, expected) in [
            ("file:///w/t/metadata/a.avro", true),
            ("file:///w/t", false),
            ("file:///w/t/", false),
            ("file:///w/t//metadata/a.avro", false),
            ("file:///w/t/metadata//a.avro", false),
            ("file:///w/t/metadata/", false),
            ("file:///w/tt/a.avro", false),
        ] {
            assert_eq!(is_below("file:///w/t", location), expected, "{location}");
            assert_eq!(is_below("file:///w/t/", location), expected, "{location}");
        }
    }
}
