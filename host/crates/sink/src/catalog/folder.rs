//! The metadata files in a table's folder: what there is, whatever the catalog says.

use std::path::PathBuf;

/// A metadata file, by its name `VERSION-UUID.metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataName {
    pub(crate) version: i32,
    /// As the catalog would name it.
    pub(crate) location: String,
}

/// The version in the name of a metadata file.
pub(crate) fn version_of(location: &str) -> Option<i32> {
    let name = location.rsplit('/').next()?;
    let stem = name.strip_suffix(".metadata.json")?;
    stem.split_once('-')?.0.parse().ok()
}

/// The metadata file with the highest version below a table's location; `None` if there is none, or if the location is
/// not a local folder that can be read.
pub(crate) fn newest_metadata(table_location: &str) -> Option<MetadataName> {
    let metadata = format!("{}/metadata", table_location.trim_end_matches('/'));
    let path = PathBuf::from(metadata.strip_prefix("file://").unwrap_or(&metadata));
    let names = std::fs::read_dir(path).ok()?.flatten();
    let files = names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(MetadataName { version: version_of(&name)?, location: format!("{metadata}/{name}") })
    });
    files.max_by_key(|file| file.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_the_one_with_the_highest_number() {
        let dir = tempfile::tempdir().unwrap();
        let location = format!("file://{}", dir.path().display());
        assert_eq!(newest_metadata(&location), None);
        let metadata = dir.path().join("metadata");
        std::fs::create_dir(&metadata).unwrap();
        for name in
            ["00009-a.metadata.json", "100000-b.metadata.json", "x.metadata.json", "200000-c.avro"]
        {
            std::fs::write(metadata.join(name), "{}").unwrap();
        }
        let newest = newest_metadata(&location).unwrap();
        assert_eq!(newest.version, 100_000);
        assert_eq!(newest.location, format!("{location}/metadata/100000-b.metadata.json"));
    }
}
