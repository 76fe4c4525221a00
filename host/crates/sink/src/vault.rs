//! Sealing of bytes that redaction has not seen: payloads of dead letters, and the state of detectors.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::epoch::digest::Digests;
use crate::error::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals with XChaCha20-Poly1305. A sealed blob is the nonce (24 bytes, random) and the ciphertext with
/// its tag; the name of what it belongs to is bound to it as associated data.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: String,
    digests: Digests,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Vault {
    /// Reads a key file: 64 hex digits (as `openssl rand -hex 32` writes them) or 32 bytes.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path)
            .map_err(|cause| Error::ReadKeyFile { path: path.to_owned(), cause })?;
        let text = bytes.trim_ascii();
        let key = match hex::decode(text) {
            Ok(key) if key.len() == KEY_BYTES => key,
            _ if bytes.len() == KEY_BYTES => bytes,
            _ => return Err(Error::BadKeyFile { path: path.to_owned() }),
        };
        Ok(Self::of(&key))
    }

    fn of(key: &[u8]) -> Self {
        let digest = hex::encode(Sha256::digest(key));
        Self {
            cipher: XChaCha20Poly1305::new(Key::from_slice(key)),
            key_id: digest.get(..8).unwrap_or_default().to_owned(),
            digests: Digests::derived_from(key),
        }
    }

    /// Identifies the key without revealing it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Digests with a key that is derived from this one.
    pub(crate) fn digests(&self) -> Digests {
        self.digests.clone()
    }

    pub fn seal(&self, plain: &[u8], belongs_to: &str) -> Result<Vec<u8>, Error> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: plain, aad: belongs_to.as_bytes() };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| Error::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub fn unseal(&self, sealed: &[u8], belongs_to: &str) -> Result<Vec<u8>, Error> {
        let refuse =
            || Error::OtherKey { belongs_to: belongs_to.to_owned(), key_id: self.key_id.clone() };
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(refuse)?;
        let payload = Payload { msg: sealed, aad: belongs_to.as_bytes() };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| refuse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_purpose_open_a_blob() {
        let vault = Vault::of(&[7; 32]);
        let sealed = vault.seal(b"secret", "t[0]@5").unwrap();
        assert_eq!(vault.unseal(&sealed, "t[0]@5").unwrap(), b"secret");
        assert!(vault.unseal(&sealed, "t[0]@6").is_err());
        assert!(Vault::of(&[8; 32]).unseal(&sealed, "t[0]@5").is_err());
        for end in [0, 23, 24, sealed.len() - 1] {
            assert!(vault.unseal(&sealed[..end], "t[0]@5").is_err());
        }
        let text = format!("{vault:?}");
        assert!(!text.contains("07") && text.contains("key_id"), "{text}");
    }

    #[test]
    fn key_files_are_hex_or_raw() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{}\n", "0b".repeat(32))).unwrap();
        let hex = Vault::open(&path).unwrap();
        std::fs::write(&path, [0x0b; 32]).unwrap();
        assert_eq!(hex.key_id(), Vault::open(&path).unwrap().key_id());
        std::fs::write(&path, "short").unwrap();
        assert!(Vault::open(&path).unwrap_err().to_string().contains("64 hex digits"));
    }
}
