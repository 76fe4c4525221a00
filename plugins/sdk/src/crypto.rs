//! Cryptography with keys that stay in the host. In unit tests the keys are the ones of
//! [`testing::grant_key`](crate::testing::grant_key).

use crate::abi::audit_host::plugin::crypto::CryptoError;
use crate::abi::audit_host::plugin::types::{Fault, Utf8Values};
use crate::batch::Utf8Column;

#[cfg(target_arch = "wasm32")]
use crate::abi::audit_host::plugin::crypto as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::crypto as host;

/// The length of a keyed hash.
const DIGEST_BYTES: usize = 32;

/// Whether a key is granted. Call it in `configure`, so that a wrong name stops the host at its start.
pub fn has_key(key: &str) -> bool {
    host::has_key(key)
}

/// The id of the key that is currently used for tokens and ciphertexts. Each of them contains it.
pub fn key_id(key: &str) -> Result<String, Fault> {
    host::key_id(key).map_err(|error| refused("name", key, error))
}

/// HMAC-SHA-256 of every value under the named key, including nulls. Call it once per column.
pub fn keyed_hash(key: &str, values: &Utf8Column) -> Result<Digests, Fault> {
    let bytes =
        host::keyed_hash(key, values.abi()).map_err(|error| refused("hash under", key, error))?;
    if bytes.len() != values.rows() * DIGEST_BYTES {
        return Err(Fault::Other(format!("the host gave {} bytes of hashes", bytes.len())));
    }
    Ok(Digests { bytes })
}

/// A token for every value: `tok_<key id>_<26 characters>`. Equal values have equal tokens as long as the key
/// is the same. A token does not reveal its value. Null stays null. Call it once per column.
pub fn token(key: &str, values: &Utf8Column) -> Result<Utf8Column, Fault> {
    let tokens =
        host::token(key, values.abi()).map_err(|error| refused("make tokens under", key, error))?;
    with_nulls_of(values, tokens)
}

/// Every value encrypted for its subject: `enc_v1.<key id>.<base64url>`, which `audit-host decrypt`
/// decrypts. `context` is the column or path of the values. `subjects` has as many rows as `values`, null
/// for no subject. Equal values with the same subject and context give equal texts. Null stays null. Call it
/// once per column.
pub fn encrypt(
    key: &str,
    context: &str,
    subjects: &Utf8Column,
    values: &Utf8Column,
) -> Result<Utf8Column, Fault> {
    let sealed = host::encrypt(key, context, subjects.abi(), values.abi())
        .map_err(|error| refused("encrypt under", key, error))?;
    with_nulls_of(values, sealed)
}

/// The host's answer as a column. A null is an empty text at the boundary, and the result for it is ignored.
fn with_nulls_of(values: &Utf8Column, made: Utf8Values) -> Result<Utf8Column, Fault> {
    Utf8Column::new(values.rows(), values.validity().clone(), made)
        .ok_or_else(|| Fault::Other("the host returned another number of values".to_owned()))
}

fn refused(what: &str, key: &str, error: CryptoError) -> Fault {
    let why = match error {
        CryptoError::UnknownKey(_) => "it is not granted to this plugin".to_owned(),
        CryptoError::BadInput(problem) => problem,
    };
    Fault::Other(format!("cannot {what} the key {key}: {why}"))
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
