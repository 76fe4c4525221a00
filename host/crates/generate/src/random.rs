//! Draws from the seed. Only integer arithmetic, written out here, so that neither a platform's
//! maths library nor a new version of `rand` changes what a seed means.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Independent streams of one seed: to mix in attacks or personal data must not reshuffle the
/// background.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Background = 0,
    Attacks = 1,
    Pii = 2,
}

pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    /// 0 up to but not including `n`. The bias of at most `n` in 2^32 is of no account here.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// `low` up to and including `high`.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// 0 up to and including `limit`, which is not negative.
    pub(crate) fn micros(&mut self, limit: i64) -> i64 {
        let n = u128::from(limit.unsigned_abs()) + 1;
        ((u128::from(self.0.next_u64()) * n) >> 64) as i64
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }

    /// A version 4 UUID as text.
    pub(crate) fn uuid(&mut self) -> [u8; 36] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.0.next_u64().to_le_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = [b'-'; 36];
        for (byte, at) in bytes.iter().zip(UUID_PLACES) {
            text[at..at + 2].copy_from_slice(&HEX[usize::from(*byte)]);
        }
        text
    }
}

/// Where the digits of each byte of a UUID stand in its text.
const UUID_PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};
