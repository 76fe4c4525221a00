//! Hashes: a stable one for tags, and a seeded one for finding keys.

use std::hash::{DefaultHasher, Hasher as _};

/// A hash that is the same in every run and on every machine, for tags, which are part of a state. Two
/// values that collide count as one, so collisions must not be easy to make: SipHash.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    seeded_hash(0, bytes)
}

/// A hash that differs with the seed, so that keys that collide in one table do not collide in all.
pub(crate) fn seeded_hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&seed.to_le_bytes());
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States hold these numbers: another hash needs a new state version.
    #[test]
    fn the_stable_hash_does_not_change() {
        assert_eq!(stable_hash(b""), 13_646_096_770_106_105_413);
        assert_ne!(stable_hash(b"a"), stable_hash(b"b"));
        assert_ne!(seeded_hash(1, b"a"), seeded_hash(2, b"a"));
    }
}
