//! The components of all plugins that ever ran, so that each can run again.
//!
//! The table names the plugin that judged a row by its digest. Files are replaced and lost; the bytes stay here, at
//! `WAREHOUSE/.audit-host/plugins/<sha256>.wasm`, each written once.

use std::fmt;

use iceberg::io::FileIO;
use sha2::{Digest, Sha256};

use crate::error::Error;

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

    /// Stores a component. Bytes with another digest are rejected.
    pub async fn put(&self, sha256: &str, bytes: &[u8]) -> Result<(), Error> {
        let location = self.location_of(sha256)?;
        if Self::digest(bytes) != sha256 {
            return Err(damaged(location, "the bytes to be stored there have another SHA-256"));
        }
        // A crash may have left half of it: an existing file counts only if its digest is right.
        if let Ok(()) = self.get(sha256).await.map(|_| ()) {
            return Ok(());
        }
        let failed = |cause| failed("storing", &location, cause);
        let output = self.file_io.new_output(&location).map_err(failed)?;
        output.write(bytes.to_vec().into()).await.map_err(failed)
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
        store.put(&sha256, bytes).await.unwrap();
        let path = file(&format!("{sha256}.wasm"));
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        store.put(&sha256, bytes).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        assert_eq!(store.get(&sha256).await.unwrap(), bytes);

        std::fs::write(&path, &bytes[..2]).unwrap();
        assert!(store.get(&sha256).await.unwrap_err().to_string().contains("is damaged"));
        store.put(&sha256, bytes).await.unwrap();
        assert_eq!(store.get(&sha256).await.unwrap(), bytes, "half a component is written anew");

        assert!(store.put(&sha256, b"other").await.is_err());
        for bad in
            ["", "../../../etc/passwd", &sha256.to_uppercase(), &sha256.replacen(|_| true, "", 1)]
        {
            let refused = store.get(bad).await.unwrap_err().to_string();
            assert!(refused.contains("not a SHA-256"), "{refused}");
        }
    }
}
