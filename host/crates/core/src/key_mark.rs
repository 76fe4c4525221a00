//! How a secret is recognized without being stored.

/// Identifies a secret by its key's name and its own id. The fingerprint reveals nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyMark {
    /// As the configuration names the key.
    pub name: String,
    /// Part of every value that was made with the secret.
    pub id: String,
    pub fingerprint: String,
}
