//! The objects of a table below `WAREHOUSE/.audit-host`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use iceberg::table::Table;

use super::groups::named_objects;
use crate::catalog::Store;
use crate::catalog::folder::local_path;
use crate::error::Error;
use crate::table::names;
use crate::upkeep;

/// Folders of objects that belong to one table each.
pub(crate) const KINDS: [&str; 4] = ["state", "outbox", "history", "garbage"];

/// The objects of the table: those that its properties and the summaries of its snapshots name, and those of its
/// upkeep. Only those that exist.
pub(crate) async fn objects_of(store: &Store, table: &Table) -> Result<BTreeSet<PathBuf>, Error> {
    let metadata = table.metadata();
    let mut named = named_objects(metadata.properties());
    for snapshot in metadata.snapshots() {
        let summary = &snapshot.summary().additional_properties;
        for (key, kind) in [(names::SUMMARY_STATE, "state"), (names::SUMMARY_OUTBOX, "outbox")] {
            named.extend(summary.get(key).map(|sha256| (kind, sha256.clone())));
        }
    }
    let own_folder = store.own_folder();
    for location in upkeep::objects(store, table).await? {
        let inside = location.strip_prefix(&own_folder).and_then(|rest| rest.strip_prefix('/'));
        let (kind, sha256) = inside.and_then(|rest| rest.split_once('/')).unwrap_or_default();
        let kind = KINDS.into_iter().find(|known| *known == kind);
        named.extend(kind.map(|kind| (kind, sha256.to_owned())));
    }
    Ok(paths(&local_path(&own_folder), named))
}

/// Others can write properties and summaries: nothing but a digest may become part of a path.
fn paths(own_folder: &Path, named: Vec<(&'static str, String)>) -> BTreeSet<PathBuf> {
    let is_digest =
        |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    named
        .into_iter()
        .filter(|(_, sha256)| is_digest(sha256))
        .map(|(kind, sha256)| own_folder.join(kind).join(sha256))
        .filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_object_of_its_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let digest = "ab".repeat(32);
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let object = dir.path().join("state").join(&digest);
        std::fs::write(&object, "").unwrap();
        std::fs::write(dir.path().join("precious"), "").unwrap();
        let named = ["../precious", "/etc/passwd", "", digest.as_str(), &"cd".repeat(32)];
        let named = named.map(|sha256| ("state", sha256.to_owned()));
        assert_eq!(paths(dir.path(), named.to_vec()), BTreeSet::from([object]));
    }
}
