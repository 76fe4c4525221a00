//! By what a secret is known again without being known.

/// A secret under its key's name and its own id. Nothing of the secret follows from the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyMark {
    /// As the configuration names the key.
    pub name: String,
    /// What stands in values that were made with the secret.
    pub id: String,
    pub fingerprint: String,
}
