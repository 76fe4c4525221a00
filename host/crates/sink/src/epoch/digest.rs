//! Digests of what dead letters held. They are keyed: whoever reads the table could otherwise hash a guess and see
//! whether it was right. Equal records still have equal digests, and who has the key can compare a record with its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::OsRng;
use chacha20poly1305::aead::rand_core::RngCore as _;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::catalog::folder::local_path;
use crate::error::Error;
use crate::private;

const KEY_BYTES: usize = 32;
/// Hex digits that name a key.
const ID_DIGITS: usize = 8;
/// What the key file's key is used for here; it seals as well.
const PURPOSE: &[u8] = b"audit-host digests of dead letters";

/// Makes the digests of dead letters' payloads.
#[derive(Clone)]
pub(crate) struct Digests {
    key: [u8; KEY_BYTES],
    id: String,
}

impl Digests {
    /// With a key of their own that is derived from a secret.
    pub(crate) fn derived_from(secret: &[u8]) -> Self {
        Self::with(hmac(secret, PURPOSE))
    }

    /// With the key that the warehouse keeps, which is made when it is needed first.
    pub(crate) fn of_warehouse(own_folder: &str) -> Result<Self, Error> {
        let path = key_path(own_folder);
        let failed = |cause| Error::ReadKeyFile { path: path.clone(), cause };
        let key = read(&path).or_else(|cause| match cause.kind() {
            io::ErrorKind::NotFound => make(&path),
            _ => Err(cause),
        });
        Ok(Self::with(key.map_err(failed)?))
    }

    fn with(key: [u8; KEY_BYTES]) -> Self {
        let id = hex::encode(Sha256::digest(key)).chars().take(ID_DIGITS).collect();
        Self { key, id }
    }

    /// `hmac-sha256:KEY:DIGEST`, in hex.
    pub(crate) fn of(&self, payload: &[u8]) -> String {
        format!("hmac-sha256:{}:{}", self.id, hex::encode(hmac(&self.key, payload)))
    }
}

/// Where the warehouse's key is, in hex.
fn key_path(own_folder: &str) -> PathBuf {
    local_path(own_folder).join("keys").join("dead-letter-digests.key")
}

fn make(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    for folder in path.ancestors().skip(1).take(2).collect::<Vec<_>>().into_iter().rev() {
        private::folder(folder)?;
    }
    let mut key = [0; KEY_BYTES];
    OsRng.fill_bytes(&mut key);
    match private::create(path, hex::encode(key).as_bytes()) {
        // Another process made one at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        made => made.map(|()| key),
    }
}

fn read(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let bytes = hex::decode(fs::read(path)?.trim_ascii()).ok();
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not hold 64 hex digits"))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; KEY_BYTES] {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warehouse_keeps_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let own = format!("file://{}/.audit-host", dir.path().display());
        let first = Digests::of_warehouse(&own).unwrap();
        let again = Digests::of_warehouse(&own).unwrap();
        assert_eq!(first.of(b"alice"), again.of(b"alice"));
        assert_ne!(first.of(b"alice"), first.of(b"alicf"));
        let other = tempfile::tempdir().unwrap();
        let other = Digests::of_warehouse(other.path().to_str().unwrap());
        assert_ne!(first.of(b"alice"), other.unwrap().of(b"alice"));
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().to_str().unwrap();
        Digests::of_warehouse(own).unwrap();
        fs::write(key_path(own), "x").unwrap();
        let Err(error) = Digests::of_warehouse(own) else { panic!("it made another key") };
        assert_eq!(error.code(), "AH-0517");
    }

    /// A digest that was documented: `printf '%s' RECORD | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY`.
    #[test]
    fn a_digest_names_its_key_and_can_be_computed_elsewhere() {
        let digests = Digests::with([0x0b; KEY_BYTES]);
        let digest = digests.of(b"Hi There");
        // RFC 4231, test case 1, has this text and 20 bytes of the key.
        assert_eq!(
            hex::encode(hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        let (name, rest) = digest.split_once(':').unwrap();
        let (id, hex) = rest.split_once(':').unwrap();
        assert_eq!((name, id.len(), hex.len()), ("hmac-sha256", 8, 64));
    }
}
