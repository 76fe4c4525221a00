//! Random numbers from the seed. Only integer arithmetic, implemented here, so that neither a platform's math
//! library nor a new version of `rand` changes the stream of a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// Independent streams of one seed: mixing in attacks or personal data must not change the background.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Background = 0,
    Attacks = 1,
    Pii = 2,
    People = 3,
    Delivery = 4,
}

/// Where the draws of an event come from.
pub(crate) trait Dice {
    fn next_u32(&mut self) -> u32;

    fn next_u64(&mut self) -> u64;

    /// 0 up to but not including `n`. The bias of at most `n` in 2^32 does not matter here.
    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// `low` up to and including `high`.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// 0 up to and including `limit`, which is not negative.
    fn micros(&mut self, limit: i64) -> i64 {
        let n = u128::from(limit.unsigned_abs()) + 1;
        ((u128::from(self.next_u64()) * n) >> 64) as i64
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }

    /// A version 4 UUID as text.
    fn uuid(&mut self) -> [u8; 36] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = [b'-'; 36];
        for (byte, at) in bytes.iter().zip(UUID_PLACES) {
            text[at..at + 2].copy_from_slice(&HEX[usize::from(*byte)]);
        }
        text
    }
}

pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }
}

impl Dice for Draws {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// The draws of one event from one number, so that an event that is sent twice has the same bytes:
/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Mix(u64);

impl Mix {
    pub(crate) fn new(nonce: u64) -> Self {
        Self(nonce)
    }
}

impl Dice for Mix {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
