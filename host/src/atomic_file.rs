//! Files and folders that appear whole or not at all: a reader sees the old content or the new, never a
//! part of it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A new file is readable by everyone, as a plugin has to be for the host.
const MODE: u32 = 0o644;
/// A new file about events is the owner's alone.
const PRIVATE_MODE: u32 = 0o600;

/// Writes a file beside the one meant and renames it over that one, with its mode and owner.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_or_create(path, bytes, MODE)
}

/// The same; nobody else can read a file that is new.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_or_create(path, bytes, PRIVATE_MODE)
}

fn replace_or_create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    let written = write(&temporary, path, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder_of(path))?.sync_all());
    if written.is_err() {
        // The cause is what counts; what is left over is hidden and small.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Fills a folder beside the one meant and renames it. The folder must not exist.
pub(crate) fn create_folder(
    path: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary(path);
    let created = fs::create_dir_all(&temporary)
        .and_then(|()| fill(&temporary))
        .and_then(|()| fs::rename(&temporary, path));
    if created.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    created
}

/// Hidden and with another extension: no pattern for plugins matches it.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}.tmp", uuid::Uuid::now_v7()))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn write(temporary: &Path, like: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(before) = fs::metadata(like) {
        let own = file.metadata()?;
        let is_same_owner = (own.uid(), own.gid()) == (before.uid(), before.gid());
        if !is_same_owner
            && let Err(error) =
                std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))
        {
            let file = like.display();
            tracing::warn!(%file, %error, "could not keep the file's owner; check that the host can read it");
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A folder stands where the file should: the rename fails.
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(replace(&dir.path().join("folder"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("project");
        let failed = create_folder(&path, |_| Err(io::Error::other("no")));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        create_folder(&path, |folder| fs::write(folder.join("file"), "x")).unwrap();
        assert_eq!(fs::read_to_string(path.join("file")).unwrap(), "x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
