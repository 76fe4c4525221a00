//! Files named in the configuration. The path may be a pipe, a device or a far too large file, and the file
//! may be written while it is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The size of a read.
const CHUNK_BYTES: usize = 64 << 10;

/// Identifies a version of a file: it differs whenever the file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    device: u64,
    inode: u64,
    n_bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    /// `None` if the file does not exist or cannot be inspected.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            n_bytes: file.len(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
        }
    }
}

/// An open file and the digest of its bytes. The bytes are read twice, because the digest is needed first
/// and the file is never in memory as a whole. [`Input::finish`] checks that both reads saw the same file.
pub(crate) struct Input {
    key: String,
    path: PathBuf,
    pub(crate) file: File,
    stamp: Stamp,
    pub(crate) sha256: String,
}

impl Input {
    /// `key` is the configuration's key, `limit` names the limit of the file's size.
    pub(crate) fn open(key: &str, path: &Path, bytes_max: u64, limit: &str) -> Result<Self, Error> {
        let refuse =
            |problem: String| Error::File { key: key.to_owned(), path: path.to_owned(), problem };
        let failed = |error: io::Error| refuse(format!("it cannot be read: {error}"));
        // Non-blocking: opening a pipe would wait for a writer.
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let mut file = open.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(refuse("it is not a file".to_owned()));
        }
        if metadata.len() > bytes_max {
            let n_bytes = metadata.len();
            return Err(refuse(format!("it has {n_bytes} bytes, more than {bytes_max} ({limit})")));
        }
        let stamp = Stamp::from(&metadata);
        let sha256 = digest(&mut file, bytes_max).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Self { key: key.to_owned(), path: path.to_owned(), file, stamp, sha256 })
    }

    /// Call it after everything was read. If a rename replaced the file meanwhile, the old file was read as a
    /// whole, and its stamp differs from that of the new one.
    pub(crate) fn finish(self) -> Result<(String, Stamp), Error> {
        let now = self.file.metadata().ok().map(|metadata| Stamp::from(&metadata));
        if now == Some(self.stamp) {
            return Ok((self.sha256, self.stamp));
        }
        let problem = "it changed while it was read: write it elsewhere and rename it".to_owned();
        Err(Error::File { key: self.key, path: self.path, problem })
    }
}

fn digest(file: &mut File, bytes_max: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    // The file may grow without end.
    let mut bytes = file.take(bytes_max.saturating_add(1));
    loop {
        let n_bytes = bytes.read(&mut chunk)?;
        if n_bytes == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(chunk.get(..n_bytes).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn opened(folder: &Path) -> (PathBuf, Input) {
        let path = folder.join("roles.csv");
        std::fs::write(&path, "user,role\n").unwrap();
        let input = Input::open("lookups.roles", &path, 100, "limit").unwrap();
        (path, input)
    }

    #[test]
    fn a_file_that_is_replaced_while_it_is_read_is_read_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, input) = opened(folder.path());
        let next = folder.path().join("next.csv");
        std::fs::write(&next, "user,role,since\n").unwrap();
        std::fs::rename(&next, &path).unwrap();
        let (sha256, stamp) = input.finish().unwrap();
        assert_eq!(sha256, hex::encode(Sha256::digest("user,role\n")));
        assert_ne!(Some(stamp), Stamp::of(&path), "the next check would not load the new file");
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, input) = opened(folder.path());
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"ada,admin\n").unwrap();
        let error = input.finish().unwrap_err().to_string();
        assert!(error.contains("it changed while it was read"), "{error}");
    }
}
