//! `crypto` as the host implements it. Tests on both sides pin the formats.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::abi::audit_host::plugin::crypto::CryptoError;
use crate::abi::audit_host::plugin::types::Utf8Values;

const SALT: &[u8] = b"audit-host key";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

thread_local! {
    static KEYS: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants a key to the plugins of this thread. Its id is the one that the host derives.
pub fn grant_key(name: &str, secret: &[u8]) {
    KEYS.with_borrow_mut(|keys| keys.insert(name.to_owned(), secret.to_vec()));
}

pub(crate) fn has_key(key: &str) -> bool {
    KEYS.with_borrow(|keys| keys.contains_key(key))
}

pub(crate) fn key_id(key: &str) -> Result<String, CryptoError> {
    Ok(id_of(&secret(key)?))
}

pub(crate) fn keyed_hash(key: &str, values: &Utf8Values) -> Result<Vec<u8>, CryptoError> {
    let secret = secret(key)?;
    Ok(each(values).flat_map(|value| hmac(&secret, value)).collect())
}

pub(crate) fn token(key: &str, values: &Utf8Values) -> Result<Utf8Values, CryptoError> {
    let secret = secret(key)?;
    let id = id_of(&secret);
    let token_key = derived(&secret, &[b"token v1"]);
    Ok(joined(each(values).map(|value| {
        let digest = hmac(&token_key, value);
        format!("tok_{id}_{}", base32(&digest[..16]))
    })))
}

pub(crate) fn encrypt(
    key: &str,
    context: &str,
    subjects: &Utf8Values,
    values: &Utf8Values,
) -> Result<Utf8Values, CryptoError> {
    if subjects.offsets.len() != values.offsets.len() {
        let problem = "there is not one subject for each value".to_owned();
        return Err(CryptoError::BadInput(problem));
    }
    let secret = secret(key)?;
    let id = id_of(&secret);
    Ok(joined(each(subjects).zip(each(values)).map(|(subject, value)| {
        let length = (context.len() as u64).to_be_bytes();
        let data_key = derived(&secret, &[b"encrypt v1", &length, context.as_bytes(), subject]);
        let cipher = Aes256GcmSiv::new(&data_key.into());
        let payload = Payload { msg: value, aad: id.as_bytes() };
        let sealed = cipher.encrypt(&Nonce::default(), payload).expect("a value of a column");
        format!("enc_v1.{id}.{}", URL_SAFE_NO_PAD.encode(sealed))
    })))
}

fn secret(key: &str) -> Result<Vec<u8>, CryptoError> {
    let secret = KEYS.with_borrow(|keys| keys.get(key).cloned());
    secret.ok_or_else(|| CryptoError::UnknownKey(key.to_owned()))
}

fn id_of(secret: &[u8]) -> String {
    let digest = Sha256::digest(hmac(secret, b"key id"));
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// HKDF hashes the secret as a message first, so `keyed-hash`, which signs any message under the secret,
/// cannot compute a derived key.
fn derived(secret: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(SALT), secret);
    hkdf.expand_multi_info(info, &mut key).expect("32 bytes are one block");
    key
}

/// RFC 4648 without padding, in lower case.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut n_bits) = (0_u32, 0);
    for &byte in bytes {
        bits = bits << 8 | u32::from(byte);
        n_bits += 8;
        while n_bits >= 5 {
            n_bits -= 5;
            text.push(char::from(BASE32[(bits >> n_bits) as usize & 31]));
        }
    }
    if n_bits > 0 {
        text.push(char::from(BASE32[(bits << (5 - n_bits)) as usize & 31]));
    }
    text
}

fn each(values: &Utf8Values) -> impl Iterator<Item = &[u8]> {
    values.offsets.windows(2).map(|ends| &values.values[ends[0] as usize..ends[1] as usize])
}

fn joined(texts: impl Iterator<Item = String>) -> Utf8Values {
    let mut joined = Utf8Values { offsets: vec![0], values: Vec::new() };
    for text in texts {
        joined.values.extend_from_slice(text.as_bytes());
        joined.offsets.push(joined.values.len() as i32);
    }
    joined
}
