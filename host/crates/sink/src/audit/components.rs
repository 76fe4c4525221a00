//! The components of all plugins that ever ran, so that each can run again.
//!
//! The table names the plugin that judged a row by its digest. Files are replaced and lost; the bytes stay here, at
//! `WAREHOUSE/.audit-host/plugins/<sha256>.wasm`, each written once. A candidate's are written before it runs, as the
//! table must never name what is not here, and removed again if it is not accepted.

use std::fmt;
use std::time::Duration;

use iceberg::io::FileIO;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// How often a component is written, and the time in between.
const TRIES: usize = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Components by their digest. Cheap to clone, and needs no table: a reload stores components while epochs are
/// committed.
#[derive(Clone)]
pub struct ComponentStore {
    file_io: FileIO,
    folder: String,
}

impl fmt::Debug for ComponentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ComponentStore {
    /// `own_folder` is `WAREHOUSE/.audit-host`.
    pub(crate) fn new(file_io: FileIO, own_folder: &str) -> Self {
        Self { file_io, folder: format!("{own_folder}/plugins") }
    }

    /// The name of these bytes: their SHA-256 in hex.
    pub fn digest(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// Where the component of that digest is stored, whether it exists or not.
    pub fn location(&self, sha256: &str) -> String {
        format!("{}/{sha256}.wasm", self.folder)
    }

    /// Stores a component; returns whether it was not there before. Bytes with another digest are rejected.
    pub async fn put(&self, sha256: &str, bytes: &[u8]) -> Result<bool, Error> {
        let location = self.location_of(sha256)?;
        if Self::digest(bytes) != sha256 {
            return Err(damaged(location, "the bytes to be stored there have another SHA-256"));
        }
        let mut n_left = TRIES;
        loop {
            // A crash may have left half of it: an existing file counts only if its digest is right.
            if self.get(sha256).await.is_ok() {
                return Ok(false);
            }
            n_left -= 1;
            match self.write(&location, bytes).await {
                Ok(()) => return Ok(true),
                Err(error) if n_left == 0 => return Err(error),
                // Another instance may be storing the same bytes at this moment, which then are there.
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    async fn write(&self, location: &str, bytes: &[u8]) -> Result<(), Error> {
        let failed = |cause| failed("storing", location, cause);
        let output = self.file_io.new_output(location).map_err(failed)?;
        output.write(bytes.to_vec().into()).await.map_err(failed)
    }

    /// Removes a component that never ran.
    pub async fn remove(&self, sha256: &str) -> Result<(), Error> {
        let location = self.location_of(sha256)?;
        self.file_io.delete(&location).await.map_err(|cause| failed("removing", &location, cause))
    }

    /// The component of that digest.
    pub async fn get(&self, sha256: &str) -> Result<Vec<u8>, Error> {
        let location = self.location_of(sha256)?;
        let failed = |cause| failed("reading", &location, cause);
        let input = self.file_io.new_input(&location).map_err(failed)?;
        if !input.exists().await.map_err(failed)? {
            return Err(Error::NoComponent { location });
        }
        let bytes = input.read().await.map_err(failed)?;
        if Self::digest(&bytes) != sha256 {
            return Err(damaged(location, "its bytes have another SHA-256 than its name"));
        }
        Ok(bytes.to_vec())
    }

    /// Digests come from the table, which others can write: none may lead out of the folder.
    fn location_of(&self, sha256: &str) -> Result<String, Error> {
        let is_digest = sha256.len() == 64
            && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest {
            return Err(damaged(format!("{sha256:?}"), "not a SHA-256 in hex"));
        }
        Ok(self.location(sha256))
    }
}

fn damaged(location: String, problem: &str) -> Error {
    Error::Damaged { what: "the component", location, problem: problem.to_owned() }
}

fn failed(attempted: &'static str, location: &str, cause: iceberg::Error) -> Error {
    Error::Component { attempted, location: location.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iceberg::io::FileIOBuilder;
    use iceberg_storage_opendal::OpenDalStorageFactory;

    use super::*;

    #[tokio::test]
    async fn a_component_is_stored_once_and_comes_back_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file_io = FileIOBuilder::new(Arc::new(OpenDalStorageFactory::Fs)).build();
        let own = dir.path().join("ware house/.audit-host");
        let store = ComponentStore::new(file_io, &format!("file://{}", own.display()));
        let (bytes, file) = (b"\0asm".as_slice(), |name: &str| own.join("plugins").join(name));
        let sha256 = ComponentStore::digest(bytes);

        let absent = store.get(&sha256).await.unwrap_err().to_string();
        assert!(absent.contains(&sha256), "{absent}");
        assert!(store.put(&sha256, bytes).await.unwrap(), "it is new");
        let path = file(&format!("{sha256}.wasm"));
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert!(!store.put(&sha256, bytes).await.unwrap(), "it is there");
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        assert_eq!(store.get(&sha256).await.unwrap(), bytes);

        std::fs::write(&path, &bytes[..2]).unwrap();
        assert!(store.get(&sha256).await.unwrap_err().to_string().contains("is damaged"));
        store.put(&sha256, bytes).await.unwrap();
        assert_eq!(store.get(&sha256).await.unwrap(), bytes, "half a component is written anew");

        store.remove(&sha256).await.unwrap();
        assert!(!path.exists());
        assert!(store.put(&sha256, b"other").await.is_err());
        for bad in
            ["", "../../../etc/passwd", &sha256.to_uppercase(), &sha256.replacen(|_| true, "", 1)]
        {
            let refused = store.get(bad).await.unwrap_err().to_string();
            assert!(refused.contains("not a SHA-256"), "{refused}");
            assert!(store.remove(bad).await.is_err());
        }
    }
}
