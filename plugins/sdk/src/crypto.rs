//! Cryptography with keys that stay in the host. In unit tests the keys are the ones of
//! [`testing::grant_key`](crate::testing::grant_key).

#[cfg(target_arch = "wasm32")]
use crate::abi::audit_host::plugin::crypto as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing as host;
use crate::{Fault, Utf8Column};

/// The length of a keyed hash.
const DIGEST_BYTES: usize = 32;

/// Whether a key of that name is granted. To be asked in `configure`, so that a wrong name stops the
/// host at its start.
pub fn has_key(key: &str) -> bool {
    host::has_key(key)
}

/// HMAC-SHA-256 of every value under the named key, of nulls too. One call a column.
pub fn keyed_hash(key: &str, values: &Utf8Column) -> Result<Digests, Fault> {
    let bytes = host::keyed_hash(key, values.abi())
        .map_err(|error| Fault::Other(format!("cannot hash under the key {key}: {error:?}")))?;
    if bytes.len() != values.rows() * DIGEST_BYTES {
        return Err(Fault::Other(format!("the host gave {} bytes of hashes", bytes.len())));
    }
    Ok(Digests { bytes })
}

/// The hashes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    // Invariant: a multiple of `DIGEST_BYTES`.
    bytes: Vec<u8>,
}

impl Digests {
    /// The hash of a row. `None` for a row that does not exist.
    pub fn get(&self, row: usize) -> Option<&[u8; DIGEST_BYTES]> {
        self.bytes.get(row * DIGEST_BYTES..(row + 1) * DIGEST_BYTES)?.first_chunk()
    }
}
