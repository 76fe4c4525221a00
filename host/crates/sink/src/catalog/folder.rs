//! The metadata files in a table's folder: what there is, whatever the catalog says.

use std::path::{Path, PathBuf};

use audit_core::text;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;

use crate::table::names::TableName;

/// A metadata file, by its name `VERSION-UUID.metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// The metadata files below a table's location, the highest version first; none if that is not a local folder that can
/// be read.
pub(crate) fn metadata_files(table_location: &str) -> Vec<MetadataName> {
    let metadata = format!("{}/metadata", table_location.trim_end_matches('/'));
    let Ok(entries) = std::fs::read_dir(local_path(&metadata)) else { return Vec::new() };
    let file = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let version = version_of(&name)?;
        // Reading a pipe would never end.
        let location = format!("{metadata}/{name}");
        entry.path().is_file().then_some(MetadataName { version, location })
    };
    let mut files: Vec<_> = entries.flatten().filter_map(file).collect();
    files.sort_by(|a, b| b.cmp(a));
    files
}

/// The path of a location on this machine. Spark writes `file:/…`.
pub(crate) fn local_path(location: &str) -> PathBuf {
    let path = location.strip_prefix("file://").or_else(|| location.strip_prefix("file:"));
    PathBuf::from(path.unwrap_or(location))
}

/// Whether two locations are one folder, whatever links lead there.
pub(crate) fn is_same_place(one: &str, other: &str) -> bool {
    let real = |location: &str| {
        let path = local_path(location.trim_end_matches('/'));
        path.canonicalize().unwrap_or(path)
    };
    real(one) == real(other)
}

/// A metadata file as a table; else why it is none.
pub(crate) async fn read(
    file_io: &FileIO,
    name: &TableName,
    location: &str,
) -> Result<Table, String> {
    let failed = |cause: iceberg::Error| text::one_line(&cause);
    let metadata = TableMetadata::read_from(file_io, location).await.map_err(failed)?;
    let runtime = iceberg::Runtime::try_current().map_err(failed)?;
    let table = Table::builder()
        .identifier(name.ident().map_err(failed)?)
        .metadata_location(location.to_owned())
        .metadata(metadata)
        .file_io(file_io.clone())
        .runtime(runtime)
        .disable_cache()
        .build()
        .map_err(failed)?;
    // What a commit wrote before its metadata.
    if let Some(snapshot) = table.metadata().current_snapshot()
        && !Path::new(&local_path(snapshot.manifest_list())).is_file()
    {
        return Err(format!("its manifest list {} is missing", snapshot.manifest_list()));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_the_file_with_the_highest_number() {
        let dir = tempfile::tempdir().unwrap();
        let location = format!("file://{}", dir.path().display());
        assert_eq!(metadata_files(&location), []);
        let metadata = dir.path().join("metadata");
        std::fs::create_dir(&metadata).unwrap();
        for name in
            ["00009-a.metadata.json", "100000-b.metadata.json", "x.metadata.json", "200000-c.avro"]
        {
            std::fs::write(metadata.join(name), "{}").unwrap();
        }
        std::fs::create_dir(metadata.join("300000-folder.metadata.json")).unwrap();
        let files = metadata_files(&location);
        let versions: Vec<i32> = files.iter().map(|file| file.version).collect();
        assert_eq!(versions, [100_000, 9]);
        assert_eq!(files[0].location, format!("{location}/metadata/100000-b.metadata.json"));
    }
}
