//! Reading files that a user names: each may turn out to be a pipe, a device, or far too large.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use audit_lookup::Stamp;

/// Bytes of a configuration or a key file: a larger one is something else.
const SMALL_BYTES_MAX: u64 = 1 << 20;

/// A file of text.
pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = small(path)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// A file of at most 1 MiB.
pub(crate) fn small(path: &Path) -> Result<Vec<u8>> {
    whole(path, SMALL_BYTES_MAX)
}

/// The first bytes of a regular file.
pub(crate) fn begin(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    regular(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file. Non-blocking, because opening a pipe would wait for a writer.
fn regular(path: &Path) -> Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidData, "it is not a file"));
    }
    Ok(file)
}

/// The bytes of a regular file that is not too large and does not change while it is read. If a rename
/// replaces it meanwhile, the old file is read to its end.
pub(crate) fn whole(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let refuse = |problem: String| Err(Error::new(ErrorKind::InvalidData, problem));
    let file = regular(path)?;
    let before = file.metadata()?;
    if before.len() > bytes_max {
        return refuse(format!("it has {} bytes, more than {bytes_max}", before.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
    (&file).take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let is_as_it_was = Stamp::from(&file.metadata()?) == Stamp::from(&before);
    if !is_as_it_was || bytes.len() as u64 != before.len() {
        let problem = "it changed while it was read: write it elsewhere and rename it";
        return refuse(problem.to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(whole(&path, 5).unwrap(), b"12345");
        let error = whole(&path, 4).unwrap_err().to_string();
        assert!(error.contains("has 5 bytes, more than 4"), "{error}");
        let error = whole(folder.path(), 5).unwrap_err().to_string();
        assert!(error.contains("is not a file"), "{error}");
        assert!(whole(Path::new("/dev/zero"), 5).is_err());
        assert!(begin(Path::new("/dev/zero"), 5).is_err());
        assert_eq!(begin(&path, 2).unwrap(), b"12");
        assert!(whole(&folder.path().join("none"), 5).is_err());
    }
}
