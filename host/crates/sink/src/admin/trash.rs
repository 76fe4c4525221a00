//! Where the files of a dropped table wait for their removal.
//!
//! A folder `WAREHOUSE/.audit-host/dropped/<table>-<uuid>` is made before the catalog forgets the table, and is
//! removed last. So a drop that was killed anywhere in between is found, and finished, by the next one of the same
//! table. The files are moved there first: nobody sees half of a table, and a new one of the same name does not mix
//! with the old one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::table::names::TableName;

const NOTE: &str = "table.json";

/// The folder of one dropped table.
#[derive(Debug, Clone)]
pub(crate) struct Trash {
    pub(crate) path: PathBuf,
    pub(crate) note: Note,
}

/// What is being dropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) table: String,
    pub(crate) uuid: String,
    /// The folder of its files.
    pub(crate) folder: PathBuf,
}

impl Trash {
    /// Makes the folder and its note.
    pub(crate) fn create(own_folder: &Path, note: Note) -> Result<Self, Error> {
        let path = own_folder.join("dropped").join(format!("{}-{}", note.table, note.uuid));
        let failed = |cause| remove_failed(&path, cause);
        fs::create_dir_all(&path).map_err(failed)?;
        let json = serde_json::to_vec(&note).map_err(|cause| failed(cause.into()))?;
        fs::write(path.join(NOTE), json).map_err(failed)?;
        Ok(Self { path, note })
    }

    /// What earlier drops of the table have left.
    pub(crate) fn of(own_folder: &Path, name: &TableName) -> Vec<Self> {
        let table = name.to_string();
        let folders = fs::read_dir(own_folder.join("dropped")).into_iter().flatten().flatten();
        let trash = |entry: fs::DirEntry| {
            // Of a folder whose note was not written yet the catalog still has the table.
            let note: Note =
                serde_json::from_slice(&fs::read(entry.path().join(NOTE)).ok()?).ok()?;
            (note.table == table).then(|| Self { path: entry.path(), note })
        };
        folders.filter_map(trash).collect()
    }

    /// Moves a folder in. A folder on another file system is removed where it is.
    pub(crate) fn take(&self, folder: &Path) -> Result<(), Error> {
        match fs::rename(folder, self.path.join("files")) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::remove_dir_all(folder).map_err(|cause| remove_failed(folder, cause))
            }
            Err(cause) => Err(remove_failed(folder, cause)),
        }
    }

    /// Removes everything in it, then itself. Links are removed, and never followed.
    pub(crate) fn empty(self) -> Result<(), Error> {
        let files = self.path.join("files");
        let removed = match fs::remove_dir_all(&files) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.map_err(|cause| remove_failed(&files, cause))?;
        fs::remove_dir_all(&self.path).map_err(|cause| remove_failed(&self.path, cause))?;
        // Gone with the last one; others may be there.
        drop(self.path.parent().map(fs::remove_dir));
        Ok(())
    }
}

pub(crate) fn remove_failed(path: &Path, cause: io::Error) -> Error {
    Error::Remove { path: path.to_owned(), cause }
}

/// Number and bytes of the files below a folder. Links are counted as files, and not followed.
pub(crate) fn size_of(path: &Path) -> (u64, u64) {
    let Ok(metadata) = path.symlink_metadata() else { return (0, 0) };
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.fold((0, 0), |(n_files, bytes), entry| {
        let (more_files, more_bytes) = size_of(&entry.path());
        (n_files + more_files, bytes + more_bytes)
    })
}
