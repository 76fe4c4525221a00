//! The metadata files in a table's folder, and which of them is the table.
//!
//! A commit writes `VERSION-UUID.metadata.json` whole, and then points the catalog at it. So without the catalog the
//! table is the file with the highest version, with three exceptions:
//!
//! - A file that cannot be parsed was never committed: a host was killed while it wrote it. It is skipped, and named.
//! - A folder may hold the files of an earlier table of the same name. Files belong together by the table's uuid; the
//!   uuid that was updated last is the table.
//! - A killed host may leave a whole file that it did not get to commit. If nobody has committed since, it has the
//!   highest version, and taking it commits that epoch: its rows, offsets, detector state and the pointer to its
//!   outbox are all in it, and name files that were written before it. So the next start delivers the epoch's dead
//!   letters and alerts and reads on behind it, as if the commit had succeeded. If somebody has committed since, then
//!   the host's next start or another host did so on the same base, and both have the same version: see
//!   [`Candidate::rank`].

use std::collections::HashMap;

use iceberg::io::FileIO;
use iceberg::table::Table;
use uuid::Uuid;

use crate::catalog::folder::{self, MetadataName};
use crate::table::names::{self, TableName};

/// A metadata file that could be the table.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) version: i32,
    pub(crate) table: Table,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The files of one table with the highest version; empty if there is none that can be read.
    pub(crate) newest: Vec<Candidate>,
    /// What was passed over, and why.
    pub(crate) notes: Vec<String>,
}

impl Candidate {
    pub(crate) fn location(&self) -> &str {
        self.table.metadata_location().unwrap_or_default()
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.table.metadata().uuid()
    }

    /// Of two files with the same version one was committed, and the other lost or was not finished. The dead letters
    /// of an epoch are appended after its commit: the file that has the newest epoch of the dead letters wins.
    /// Without such evidence the one that was written later wins, because a host that is killed writes before the one
    /// that follows it.
    fn rank(&self, newest_letters: Option<&str>) -> (bool, i64) {
        let metadata = self.table.metadata();
        let has_epoch = newest_letters.is_some_and(|epoch| {
            metadata.snapshots().any(|snapshot| {
                let summary = &snapshot.summary().additional_properties;
                summary.get(names::SUMMARY_EPOCH).is_some_and(|id| id == epoch)
            })
        });
        (has_epoch, metadata.last_updated_ms())
    }
}

/// The epoch whose dead letters a table of dead letters got last.
pub(crate) fn newest_epoch(letters: &Table) -> Option<String> {
    let snapshot = letters.metadata().current_snapshot()?;
    snapshot.summary().additional_properties.get(names::SUMMARY_EPOCH).cloned()
}

impl Found {
    /// The one to take, and a note for each other one.
    pub(crate) fn choose(
        mut self,
        newest_letters: Option<&str>,
    ) -> (Option<Candidate>, Vec<String>) {
        self.newest.sort_by_key(|candidate| candidate.rank(newest_letters));
        let chosen = self.newest.pop();
        let passed = self.newest.iter().map(|other| {
            let updated = crate::table::clock::rfc3339(other.table.metadata().last_updated_ms());
            let location = other.location();
            format!("{location} has the same version and was written at {updated}, by a commit that did not succeed")
        });
        self.notes.extend(passed);
        (chosen, self.notes)
    }
}

/// The newest metadata of a table in its folder. `known` is the uuid of the table, if the catalog has one.
///
/// Every file is read: those of an earlier table may have the higher versions.
pub(crate) async fn find(
    file_io: &FileIO,
    name: &TableName,
    folder: &str,
    known: Option<Uuid>,
) -> Found {
    let mut skipped = Vec::new();
    let mut tables: HashMap<Uuid, Vec<Candidate>> = HashMap::new();
    for MetadataName { version, location } in folder::metadata_files(folder) {
        match folder::read(file_io, name, &location).await {
            Ok(table) => {
                let newest = tables.entry(table.metadata().uuid()).or_default();
                if newest.first().is_none_or(|first| first.version == version) {
                    newest.push(Candidate { version, table });
                }
            }
            Err(problem) => skipped.push((version, format!("skipped {location}: {problem}"))),
        }
    }
    let updated = |uuid: &Uuid| {
        let newest = tables.get(uuid).into_iter().flatten();
        newest.map(|candidate| candidate.table.metadata().last_updated_ms()).max()
    };
    let uuid = known.or_else(|| tables.keys().copied().max_by_key(updated));
    let newest = uuid.and_then(|uuid| tables.remove(&uuid)).unwrap_or_default();
    // What an older one names may have been removed since.
    let version = newest.first().map(|first| first.version);
    let newer = skipped.into_iter().filter(|(skipped, _)| Some(*skipped) >= version);
    let mut notes: Vec<_> = newer.map(|(_, note)| note).collect();
    let earlier = tables.keys();
    notes.extend(earlier.map(|uuid| format!("{folder} also holds an earlier table (uuid {uuid})")));
    Found { newest, notes }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use iceberg::TableCreation;
    use iceberg::spec::{Schema, TableMetadataBuilder};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    /// A table's folder, and metadata that the tests change.
    struct Folder {
        dir: TempDir,
        json: Value,
    }

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("metadata")).unwrap();
            let creation = TableCreation::builder()
                .name("t".to_owned())
                .location(format!("file://{}", dir.path().display()))
                .schema(Schema::builder().build().unwrap())
                .build();
            let built = TableMetadataBuilder::from_table_creation(creation).unwrap().build();
            Self { dir, json: serde_json::to_value(built.unwrap().metadata).unwrap() }
        }

        fn write(&self, file: &str, updated_ms: i64, edit: impl FnOnce(&mut Value)) {
            let mut json = self.json.clone();
            json["last-updated-ms"] = json!(updated_ms);
            edit(&mut json);
            let path = self.dir.path().join(format!("metadata/{file}.metadata.json"));
            std::fs::write(path, json.to_string()).unwrap();
        }

        async fn find(&self, known: Option<Uuid>) -> Found {
            let storage = std::sync::Arc::new(iceberg_storage_opendal::OpenDalStorageFactory::Fs);
            let file_io = iceberg::io::FileIOBuilder::new(storage).build();
            let name = TableName::parse("ns.t").unwrap();
            let folder = format!("file://{}", self.dir.path().display());
            find(&file_io, &name, &folder, known).await
        }

        /// The name of the file that is chosen, and the notes.
        async fn chosen(&self, newest_letters: Option<&str>) -> (String, String) {
            let (chosen, notes) = self.find(None).await.choose(newest_letters);
            let chosen = chosen.unwrap();
            let name = chosen.location().rsplit('/').next().unwrap();
            (name.replace(".metadata.json", ""), notes.join("\n"))
        }
    }

    const NOW: i64 = 1_800_000_000_000;

    /// A snapshot of an epoch, with or without its manifest list.
    fn add_snapshot(json: &mut Value, epoch: &str, manifest_list: &Path) {
        let snapshot = json!({
            "snapshot-id": 1,
            "sequence-number": 1,
            "timestamp-ms": json["last-updated-ms"],
            "manifest-list": format!("file://{}", manifest_list.display()),
            "summary": { "operation": "append", "audit-host.epoch": epoch },
            "schema-id": 0,
        });
        json["snapshots"] = json!([snapshot]);
        json["current-snapshot-id"] = json!(1);
        json["last-sequence-number"] = json!(1);
        json["refs"] = json!({ "main": { "snapshot-id": 1, "type": "branch" } });
    }

    #[tokio::test]
    async fn the_highest_version_that_is_whole_is_the_table() {
        let folder = Folder::new();
        assert!(folder.find(None).await.newest.is_empty());
        folder.write("00009-a", NOW, |_| {});
        folder.write("00010-b", NOW, |_| {});
        std::fs::write(folder.dir.path().join("metadata/00011-torn.metadata.json"), "{\"form")
            .unwrap();
        std::fs::write(folder.dir.path().join("metadata/00012-empty.metadata.json"), "").unwrap();
        let gone = folder.dir.path().join("gone.avro");
        folder.write("00013-c", NOW, |json| add_snapshot(json, "e", &gone));
        let (chosen, notes) = folder.chosen(None).await;
        assert_eq!(chosen, "00010-b");
        for passed in ["00011-torn", "00012-empty", "gone.avro is missing"] {
            assert!(notes.contains(passed), "{passed}: {notes}");
        }
    }

    #[tokio::test]
    async fn an_earlier_table_of_the_same_name_is_not_taken() {
        let folder = Folder::new();
        let other = Uuid::from_u128(7);
        folder.write("00500-old", NOW - 1, |json| json["table-uuid"] = json!(other.to_string()));
        folder.write("00002-new", NOW, |_| {});
        let (chosen, notes) = folder.chosen(None).await;
        assert_eq!(chosen, "00002-new");
        assert!(notes.contains(&other.to_string()), "{notes}");
        // Whose table it is, the catalog knows better than the clock.
        let found = folder.find(Some(other)).await;
        assert_eq!(found.newest[0].version, 500);
        assert!(folder.find(Some(Uuid::from_u128(8))).await.newest.is_empty());
    }

    #[tokio::test]
    async fn of_two_files_of_one_version_the_committed_one_is_taken() {
        let folder = Folder::new();
        let list = folder.dir.path().join("list.avro");
        std::fs::write(&list, "").unwrap();
        folder.write("00003-early", NOW, |json| add_snapshot(json, "committed", &list));
        folder.write("00003-late", NOW + 1, |json| add_snapshot(json, "killed", &list));
        let (chosen, notes) = folder.chosen(None).await;
        assert_eq!(chosen, "00003-late");
        assert!(notes.contains("00003-early"), "{notes}");
        assert_eq!(folder.chosen(Some("committed")).await.0, "00003-early");
        assert_eq!(folder.chosen(Some("elsewhere")).await.0, "00003-late");
    }
}
