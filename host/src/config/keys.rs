//! Secrets, read from their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit_chain::{Key, KeyIdError};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::read;
#[cfg(test)]
use super::setting::{DefaultValue, Range, Setting};

/// A key shorter than this could be guessed.
const KEY_BYTES_MIN: usize = 16;

/// `[keys]`, by name.
pub(crate) type KeyEntries = BTreeMap<String, KeyEntry>;

/// `[keys.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct KeyEntry {
    pub(crate) file: PathBuf,
    /// Identifies the secret in tokens and ciphertexts; derived from the secret if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Secrets that this one replaced, for what was made under them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) previous: Vec<PreviousKey>,
}

/// One of `previous`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PreviousKey {
    pub(crate) file: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// The keys of `[keys.NAME]`, for the docs.
#[cfg(test)]
pub(super) const SETTINGS: [Setting; 3] = [
    Setting::file().required("the file").range(Range::Described("16 bytes or more")).declared(
        "keys.NAME.file",
        &[
            "A secret for keyed hashes, tokens and encryption.",
            "",
            "White space around it is removed. The plugin uses it by name and never sees it.",
        ],
    ),
    Setting::file()
        .default(DefaultValue::Computed(
            "first 8 hex digits of SHA-256 of HMAC-SHA-256(secret, `key id`)",
        ))
        .range(Range::Described("1 to 32 letters, digits, `-`"))
        .declared(
            "keys.NAME.id",
            &["Identifies the secret in tokens and ciphertexts made with it."],
        ),
    Setting::file()
        .default(DefaultValue::Computed("`[]`"))
        .range(Range::Described("a list of `{ file, id }`"))
        .declared(
            "keys.NAME.previous",
            &["Secrets that this one replaced.", "", "See [rotation](operations/keys.md)."],
        ),
];

impl KeyEntry {
    /// A key without id and history.
    pub(crate) fn of_file(file: PathBuf) -> Self {
        Self { file, id: None, previous: Vec::new() }
    }

    /// The files to watch for changes.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let previous = self.previous.iter().map(|previous| previous.file.as_path());
        [self.file.as_path()].into_iter().chain(previous)
    }

    /// Reads the secrets without the white space around them, which editors add.
    pub(crate) fn read(&self, name: &str) -> Result<Key, Error> {
        let mut key = secret(name, &self.file, self.id.as_deref())?;
        for previous in &self.previous {
            let earlier = secret(name, &previous.file, previous.id.as_deref())?;
            key = key.after(earlier).map_err(|cause| wrong_id(name, cause))?;
        }
        Ok(key)
    }
}

fn secret(name: &str, path: &Path, id: Option<&str>) -> Result<Key, Error> {
    let (name, path) = (name.to_owned(), path.to_owned());
    let bytes = match read::small(&path) {
        Ok(bytes) => bytes,
        Err(cause) => return Err(Error::KeyFile { name, path, cause }),
    };
    let secret = bytes.trim_ascii();
    if secret.len() < KEY_BYTES_MIN {
        return Err(Error::ShortKey { name, path, n_bytes: secret.len() });
    }
    match id {
        None => Ok(Key::new(secret)),
        Some(id) => Key::new(secret).with_id(id).map_err(|cause| wrong_id(&name, cause)),
    }
}

fn wrong_id(name: &str, cause: KeyIdError) -> Error {
    Error::KeyId { name: name.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_with_their_ids_and_their_history() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, secret: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, secret).unwrap();
            path
        };
        let (new, old) = (file("new", "0123456789abcdef\n"), file("old", "fedcba9876543210"));
        let mut entry = KeyEntry {
            id: Some("2026-11".to_owned()),
            previous: vec![PreviousKey { file: old, id: None }],
            ..KeyEntry::of_file(new)
        };
        assert_eq!(entry.read("k").unwrap().id(), "2026-11");
        assert_eq!(entry.files().count(), 2);
        let refused = |entry: &KeyEntry| entry.read("k").unwrap_err().to_string();

        entry.id = Some("2026_11".to_owned());
        assert!(refused(&entry).starts_with("keys.k.id"), "{}", refused(&entry));
        entry.id = None;
        entry.previous[0].file = entry.file.clone();
        assert!(refused(&entry).starts_with("keys.k.id"), "the same secret twice");
        entry.previous[0].file = file("short", "0123");
        assert!(refused(&entry).contains("has 4 bytes"));
        entry.previous[0].file = folder.path().join("none");
        assert!(refused(&entry).contains("none"));
        entry.file = folder.path().to_owned();
        assert!(refused(&entry).contains("reading the key \"k\""));
    }
}
