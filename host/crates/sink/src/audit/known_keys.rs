//! The secrets that made tokens and ciphertexts in the table. Each such value contains the id of its secret;
//! another secret of the same id would make other tokens of the same values, and nobody could distinguish them.

use std::collections::{BTreeMap, HashMap};

use audit_core::KeyMark;

use crate::error::Error;
use crate::table::names;

/// Fingerprints of secrets, by the name of their property.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys(BTreeMap<String, String>);

impl KnownKeys {
    pub(crate) fn of(properties: &HashMap<String, String>) -> Self {
        let is_key = |(name, _): &(&String, &String)| name.starts_with(names::KEY_PREFIX);
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Self(properties.iter().filter(is_key).map(own).collect())
    }

    /// Adds these; the next start records them in the table.
    pub fn learn(&mut self, marks: &[KeyMark]) {
        for mark in marks {
            self.0.entry(names::key_property(mark)).or_insert_with(|| mark.fingerprint.clone());
        }
    }

    /// Fails if a secret is not the one that was used under its id.
    pub fn check(&self, marks: &[KeyMark]) -> Result<(), Error> {
        let other = marks.iter().find(|mark| {
            self.0.get(&names::key_property(mark)).is_some_and(|known| *known != mark.fingerprint)
        });
        match other {
            None => Ok(()),
            Some(KeyMark { name, id, .. }) => {
                Err(Error::OtherSecret { name: name.clone(), id: id.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_under_a_known_id_is_refused() {
        let mark = |name: &str, id: &str, fingerprint: &str| KeyMark {
            name: name.to_owned(),
            id: id.to_owned(),
            fingerprint: fingerprint.to_owned(),
        };
        let known = mark("pii", "2026-11", "aa");
        let property = |mark: &KeyMark| (names::key_property(mark), mark.fingerprint.clone());
        let offset = ("audit-host.g.t.0".to_owned(), "7".to_owned());
        let keys = KnownKeys::of(&HashMap::from([property(&known), offset]));
        for good in [&known, &mark("pii", "2026-12", "bb"), &mark("ips", "2026-11", "cc")] {
            assert!(keys.check(std::slice::from_ref(good)).is_ok(), "{good:?}");
        }
        let mut later = keys.clone();
        later.learn(&[mark("pii", "2026-12", "bb")]);
        assert!(later.check(&[mark("pii", "2026-12", "cc")]).is_err());
        let error = keys.check(&[known, mark("pii", "2026-11", "bb")]).unwrap_err().to_string();
        assert!(error.starts_with("keys.pii: ") && error.contains("2026-11"), "{error}");
        assert!(!error.contains("bb") && !error.contains("aa"), "{error}");
    }
}
