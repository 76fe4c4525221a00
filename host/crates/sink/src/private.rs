//! What nobody but the host's user may read: the folder of what belongs to no table, and the files in it that hold
//! texts of plugins or keys.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::catalog::folder::local_path;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Rights of anybody but the owner.
const OTHERS: u32 = 0o077;

/// Creates a folder for the owner alone, or takes it from the others. What is above it must exist.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    restrict(path, FOLDER_MODE)
}

/// Takes a file that was written from the others.
pub(crate) fn file(location: &str) {
    restrict_or_warn(&local_path(location), FILE_MODE);
}

/// The same for a folder that may be another user's: then it stays as that user wants it.
pub(crate) fn own_folder(location: &str) {
    let path = local_path(location);
    if let Err(error) = folder(&path) {
        warn(&path, &error);
    }
}

fn restrict_or_warn(path: &Path, mode: u32) {
    if let Err(error) = restrict(path, mode) {
        warn(path, &error);
    }
}

fn warn(path: &Path, error: &io::Error) {
    let path = path.display();
    tracing::warn!(%path, %error, "cannot restrict a file to the host's user; others may be able to read it");
}

fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Writes a file that must not exist yet, as a whole. Whoever is second gets `AlreadyExists`.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", uuid::Uuid::now_v7()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // Unlike a rename, a link does not replace what another process has written meanwhile.
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    linked.and(removed)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
        folder(&own).unwrap();
        assert_eq!(mode(&own), 0o700);
        let path = own.join("key");
        create(&path, b"one").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"one".to_vec()));
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(&own).unwrap().count(), 1, "a temporary file is left");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        file(&format!("file://{}", path.display()));
        assert_eq!(mode(&path), 0o600);
    }
}
