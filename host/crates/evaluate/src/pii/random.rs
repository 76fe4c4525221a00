//! Which corpus, and its random numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Which of the two corpora.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    Tuning,
    Scoring,
}

impl Split {
    /// One of two things by the corpus.
    pub(super) fn choose<T>(self, tuning: T, scoring: T) -> T {
        match self {
            Self::Tuning => tuning,
            Self::Scoring => scoring,
        }
    }
}

/// Random numbers, the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The two corpora never share a stream.
    pub(super) fn new(split: Split, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = split.choose(1, 2);
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// True in one of `n` cases.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn digits(&mut self, n: usize) -> String {
        self.of(b"0123456789", n)
    }

    pub(super) fn hex(&mut self, n: usize) -> String {
        self.of(b"0123456789abcdef", n)
    }

    pub(super) fn of(&mut self, alphabet: &[u8], n: usize) -> String {
        (0..n).map(|_| char::from(self.pick(alphabet))).collect()
    }
}
