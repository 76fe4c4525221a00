//! Secrets, and the cryptography with them. Secrets never leave this file: a guest names a key and gets
//! the result.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aes_gcm_siv::aead::{Aead, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use audit_core::KeyMark;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Separates our derivations from others that may use the same secret.
const SALT: &[u8] = b"audit-host key";
const FINGERPRINT: &[u8] = b"fingerprint v1";
const TOKEN: &[u8] = b"token v1";
const ENCRYPT: &[u8] = b"encrypt v1";
/// What ciphertexts begin with.
const SEALED: &str = "enc_v1.";
/// Bytes of a token's hash: enough that no two values get the same token.
const TOKEN_BYTES: usize = 16;
const ID_BYTES_MAX: usize = 32;
/// Bytes of a keyed hash.
pub(crate) const HASH_BYTES: usize = 32;
/// The shortest token: `tok_`, an id, `_` and the hash.
pub(crate) const TOKEN_BYTES_MIN: usize = 4 + 1 + 1 + 26;
/// The shortest encrypted value: its prefix, an id, a dot and the tag.
pub(crate) const SEALED_BYTES_MIN: usize = SEALED.len() + 1 + 1 + 22;
/// RFC 4648 in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The keys that a plugin may use, by name.
pub type Keys = BTreeMap<String, Key>;

/// A secret and the previous ones that it replaced: values encrypted under those can still be opened. Has
/// neither `Display` nor `Serialize`, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key {
    current: Secret,
    previous: Vec<Secret>,
}

#[derive(Clone)]
struct Secret {
    id: String,
    bytes: Arc<Zeroizing<Vec<u8>>>,
}

/// What is wrong with a key's ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyIdError {
    #[error(
        "the id {0:?} must be 1 to {ID_BYTES_MAX} letters, digits or -: in tokens it is delimited by _"
    )]
    Form(String),
    #[error("two of its secrets have the id {0:?}: each needs an id of its own")]
    Twice(String),
}

/// Why a text cannot be opened. Says nothing of the text but its key's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("it is not an encrypted value: those begin with {SEALED}")]
    NotSealed,
    #[error("it is damaged: {SEALED} must be followed by a key's id, a dot and base64url")]
    Damaged,
    #[error("its key has the id {id:?}; this key has: {known}")]
    OtherKey { id: String, known: String },
    #[error(
        "it was encrypted for another subject or context, under another secret, or was changed"
    )]
    Refused,
}

impl Key {
    /// A key whose id is derived from the secret.
    pub fn new(secret: &[u8]) -> Self {
        Self { current: Secret::new(secret), previous: Vec::new() }
    }

    /// The same secret under a chosen id.
    pub fn with_id(mut self, id: &str) -> Result<Self, KeyIdError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.chars().all(is_plain) {
            return Err(KeyIdError::Form(id.chars().take(2 * ID_BYTES_MAX).collect()));
        }
        id.clone_into(&mut self.current.id);
        self.check_ids()
    }

    /// Adds a key that this one replaced, under the id that it had.
    pub fn after(mut self, earlier: Self) -> Result<Self, KeyIdError> {
        self.previous.push(earlier.current);
        self.previous.extend(earlier.previous);
        self.check_ids()
    }

    fn check_ids(self) -> Result<Self, KeyIdError> {
        let ids: Vec<&str> = self.secrets().map(|secret| secret.id.as_str()).collect();
        let twice = ids.iter().enumerate().find(|(at, id)| ids.iter().take(*at).any(|i| i == *id));
        match twice {
            Some((_, id)) => Err(KeyIdError::Twice((*id).to_owned())),
            None => Ok(self),
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.current].into_iter().chain(&self.previous)
    }

    /// The id of the secret that tokens and ciphertexts are made with.
    pub fn id(&self) -> &str {
        &self.current.id
    }

    /// Marks by which its secrets are recognized later, under the name of the key.
    pub fn marks(&self, name: &str) -> Vec<KeyMark> {
        let mark = |secret: &Secret| KeyMark {
            name: name.to_owned(),
            id: secret.id.clone(),
            fingerprint: hex::encode(secret.derived(&[FINGERPRINT]).get(..8).unwrap_or_default()),
        };
        self.secrets().map(mark).collect()
    }

    /// HMAC-SHA-256 of each value under the current secret.
    pub(crate) fn hash(&self, values: &[&[u8]], hashes: &mut Vec<u8>) {
        let mac = mac(&self.current.bytes);
        for value in values {
            hashes.extend_from_slice(&mac.clone().chain_update(value).finalize().into_bytes());
        }
    }

    /// A token of each value: `tok_<key id>_<base32>`.
    pub(crate) fn tokens(&self, values: &[&[u8]], texts: &mut Texts) {
        let mac = mac(self.current.derived(&[TOKEN]).as_slice());
        for value in values {
            let digest = mac.clone().chain_update(value).finalize().into_bytes();
            texts.push(|text| {
                text.extend_from_slice(b"tok_");
                text.extend_from_slice(self.current.id.as_bytes());
                text.push(b'_');
                base32(digest.get(..TOKEN_BYTES).unwrap_or_default(), text);
            });
        }
    }

    /// Each value encrypted for its subject: `enc_v1.<key id>.<base64url>`. The nonce is always 0, as each
    /// subject and context has its own data key; where a nonce repeats, AES-GCM-SIV reveals only equality.
    pub(crate) fn seal(
        &self,
        context: &str,
        subjects: &[&[u8]],
        values: &[&[u8]],
        texts: &mut Texts,
    ) {
        // Values of one subject are often adjacent.
        let mut known: Option<(&[u8], Aes256GcmSiv)> = None;
        for (subject, value) in subjects.iter().zip(values) {
            let cipher = match known.take() {
                Some((of, cipher)) if of == *subject => cipher,
                _ => self.current.cipher(context, subject),
            };
            let payload = Payload { msg: value, aad: self.current.id.as_bytes() };
            // Fails only above 64 GiB, and a column has at most 2 GiB.
            let sealed = cipher.encrypt(&Nonce::default(), payload).unwrap_or_default();
            texts.push(|text| {
                text.extend_from_slice(SEALED.as_bytes());
                text.extend_from_slice(self.current.id.as_bytes());
                text.push(b'.');
                text.extend_from_slice(URL_SAFE_NO_PAD.encode(sealed).as_bytes());
            });
            known = Some((subject, cipher));
        }
    }

    /// The value that was encrypted for this subject in this context.
    pub fn open(&self, context: &str, subject: &str, text: &str) -> Result<Vec<u8>, OpenError> {
        let sealed = text.strip_prefix(SEALED).ok_or(OpenError::NotSealed)?;
        let (id, sealed) = sealed.split_once('.').ok_or(OpenError::Damaged)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError::Damaged)?;
        let secret = self.secrets().find(|secret| secret.id == id).ok_or_else(|| {
            let id = id.chars().filter(|c| !c.is_control()).take(2 * ID_BYTES_MAX).collect();
            let known: Vec<_> = self.secrets().map(|secret| secret.id.as_str()).collect();
            OpenError::OtherKey { id, known: known.join(", ") }
        })?;
        let payload = Payload { msg: &sealed, aad: id.as_bytes() };
        let cipher = secret.cipher(context, subject.as_bytes());
        cipher.decrypt(&Nonce::default(), payload).map_err(|_| OpenError::Refused)
    }
}

impl Secret {
    fn new(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(mac(bytes).chain_update(b"key id").finalize().into_bytes());
        let id = hex::encode(digest.get(..4).unwrap_or_default());
        Self { id, bytes: Arc::new(Zeroizing::new(bytes.to_vec())) }
    }

    /// HKDF-SHA-256 (RFC 5869). Its first step uses the secret as the message, so `keyed-hash`, which hashes
    /// any message under the secret, cannot compute what is derived from it.
    fn derived(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), &self.bytes);
        hkdf.expand_multi_info(info, key.as_mut_slice()).expect("32 bytes are one block");
        key
    }

    fn cipher(&self, context: &str, subject: &[u8]) -> Aes256GcmSiv {
        let length = (context.len() as u64).to_be_bytes();
        let key = self.derived(&[ENCRYPT, &length, context.as_bytes(), subject]);
        Aes256GcmSiv::new(key.as_slice().into())
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn base32(bytes: &[u8], text: &mut Vec<u8>) {
    let (mut bits, mut n_bits) = (0_u32, 0);
    for &byte in bytes {
        bits = bits << 8 | u32::from(byte);
        n_bits += 8;
        while n_bits >= 5 {
            n_bits -= 5;
            text.push(BASE32[(bits >> n_bits) as usize & 31]);
        }
    }
    if n_bits > 0 {
        text.push(BASE32[(bits << (5 - n_bits)) as usize & 31]);
    }
}

/// Text values in Arrow layout while they are built.
pub(crate) struct Texts {
    pub(crate) offsets: Vec<i32>,
    pub(crate) values: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { offsets: vec![0], values: Vec::new() }
    }
}

impl Texts {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.values);
        // The caller checks the size and refuses what is too large for an offset.
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn made(make: impl FnOnce(&mut Texts)) -> Vec<String> {
        let mut texts = Texts::default();
        make(&mut texts);
        let ends = texts.offsets.windows(2);
        let values = ends.map(|ends| &texts.values[ends[0] as usize..ends[1] as usize]);
        values.map(|value| str::from_utf8(value).unwrap().to_owned()).collect()
    }

    fn tokens(key: &Key, values: &[&[u8]]) -> Vec<String> {
        made(|texts| key.tokens(values, texts))
    }

    fn sealed(key: &Key, context: &str, subjects: &[&[u8]], values: &[&[u8]]) -> Vec<String> {
        made(|texts| key.seal(context, subjects, values, texts))
    }

    /// The same values are in the tests of the SDK, and were computed by another implementation (Python's
    /// hmac and cryptography): what changed them would break stored data.
    #[test]
    fn formats_are_pinned() {
        let key = Key::new(SECRET);
        assert_eq!(key.id(), "3e3774c4");
        assert_eq!(
            tokens(&key, &[b"ada@example.com", b"", b"ada@example.com"]),
            [
                "tok_3e3774c4_zlpqruiw2fgvwog6lfwos7lmuq",
                "tok_3e3774c4_nuyybhu5z2krbokbgsb7ccov5u",
                "tok_3e3774c4_zlpqruiw2fgvwog6lfwos7lmuq",
            ]
        );
        let subjects: [&[u8]; 3] = [b"ada", b"bob", b""];
        assert_eq!(
            sealed(&key, "user_email", &subjects, &[b"ada@example.com", b"ada@example.com", b""]),
            [
                "enc_v1.3e3774c4.OsILixSfKs9y8Et4ag7YL_XIj5Y8lgWD-q6JNw4bGQ",
                "enc_v1.3e3774c4.h5rpeJkZoFOUJj8yHbTo0jI9HSEG6azcKgnBNV_IUQ",
                "enc_v1.3e3774c4.HYf0YI0RYbiTHO6XCuBZ-w",
            ]
        );
    }

    #[test]
    fn only_who_knows_key_subject_and_context_opens_a_value() {
        let key = Key::new(SECRET);
        let sealed = sealed(&key, "user_email", &[b"ada"], &[b"ada@example.com"]).remove(0);
        assert_eq!(key.open("user_email", "ada", &sealed).unwrap(), b"ada@example.com");
        let other = Key::new(b"another secret of 32 bytes......").with_id("3e3774c4").unwrap();
        assert_eq!(other.open("user_email", "ada", &sealed), Err(OpenError::Refused));
        assert_eq!(key.open("user_email", "bob", &sealed), Err(OpenError::Refused));
        assert_eq!(key.open("user_emai", "lada", &sealed), Err(OpenError::Refused));
        for at in "enc_v1.3e3774c4.".len()..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.open("user_email", "ada", &changed).is_err(), "{at}");
        }
        assert_eq!(key.open("c", "s", "ada@example.com"), Err(OpenError::NotSealed));
        assert_eq!(key.open("c", "s", "enc_v1.3e3774c4"), Err(OpenError::Damaged));
        assert_eq!(key.open("c", "s", "enc_v1.3e3774c4.&"), Err(OpenError::Damaged));
        let said = key.open("c", "s", "enc_v1.2025.AAAA").unwrap_err().to_string();
        assert_eq!(said, "its key has the id \"2025\"; this key has: 3e3774c4");
    }

    #[test]
    fn what_an_earlier_secret_sealed_is_opened_after_a_rotation() {
        let old = Key::new(SECRET).with_id("2025-11").unwrap();
        let of_old = sealed(&old, "c", &[b"ada"], &[b"x"]).remove(0);
        let new = Key::new(b"fedcba9876543210").with_id("2026-11").unwrap().after(old.clone());
        let new = new.unwrap();
        assert_eq!(new.open("c", "ada", &of_old).unwrap(), b"x");
        assert!(sealed(&new, "c", &[b"ada"], &[b"x"])[0].starts_with("enc_v1.2026-11."));
        assert!(tokens(&new, &[b"x"])[0].starts_with("tok_2026-11_"));
        let ids = |key: &Key| key.marks("k").into_iter().map(|mark| mark.id).collect::<Vec<_>>();
        assert_eq!(ids(&new), ["2026-11", "2025-11"]);
        assert_eq!(new.marks("k")[1], old.marks("k")[0]);
        let renamed = Key::new(SECRET).with_id("other").unwrap();
        assert_eq!(renamed.marks("k")[0].fingerprint, old.marks("k")[0].fingerprint);
        assert_ne!(new.marks("k")[0].fingerprint, old.marks("k")[0].fingerprint);
        assert_eq!(new.clone().after(old.clone()).err(), Some(KeyIdError::Twice("2025-11".into())));
        for id in ["", "a_b", "a.b", "ä", &"x".repeat(33)] {
            assert!(matches!(Key::new(SECRET).with_id(id), Err(KeyIdError::Form(_))), "{id}");
        }
    }

    #[test]
    fn secrets_have_no_debug() {
        assert_eq!(format!("{:?}", Key::new(b"hunter2")), "Key(..)");
    }

    #[test]
    fn a_keyed_hash_is_hmac_sha256() {
        // RFC 4231, test case 1.
        let mut hashes = Vec::new();
        Key::new(&[0x0b; 20]).hash(&[b"", b"Hi There"], &mut hashes);
        assert_eq!(
            hex::encode(&hashes[32..]),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
