//! Time and randomness for guests, derived from the batch: a replay of a call sees the same.

use sha2::{Digest, Sha256};
use wasmtime::{Result, bail};

/// Bytes that one call for randomness, or one write to a stream, may have.
pub(crate) const BYTES_MAX: u64 = 1 << 20;
pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
/// Nanoseconds by which every reading of the monotonic clock advances it.
pub(crate) const MONOTONIC_STEP: u64 = 1000;

/// The clocks and the random generator of one instance.
#[derive(Default)]
pub(crate) struct VirtualClock {
    /// Microseconds since 1970: the clock of the batch.
    micros: i64,
    /// Nanoseconds of the monotonic clock.
    monotonic: u64,
    seed: [u8; 32],
    n_drawn: u64,
}

impl VirtualClock {
    /// Starts again from what the batch determines.
    pub(crate) fn begin_batch(&mut self, plugin: &str, topic: &str, micros: i64) {
        let mut hash = Sha256::new();
        hash.update((plugin.len() as u64).to_le_bytes());
        hash.update(plugin);
        hash.update(topic);
        hash.update(micros.to_le_bytes());
        *self = Self { micros, monotonic: 0, seed: hash.finalize().into(), n_drawn: 0 };
    }

    pub(crate) fn micros(&self) -> i64 {
        self.micros
    }

    /// Reads the monotonic clock, in nanoseconds. It advances with every reading.
    pub(crate) fn monotonic(&mut self) -> u64 {
        self.monotonic += MONOTONIC_STEP;
        self.monotonic
    }

    pub(crate) fn draw(&mut self, n_bytes: u64) -> Result<Vec<u8>> {
        if n_bytes > BYTES_MAX {
            bail!("{n_bytes} random bytes in one call, more than {BYTES_MAX}");
        }
        let mut bytes = Vec::with_capacity(n_bytes as usize + 32);
        while (bytes.len() as u64) < n_bytes {
            let block =
                Sha256::new().chain_update(self.seed).chain_update(self.n_drawn.to_le_bytes());
            self.n_drawn += 1;
            bytes.extend_from_slice(&block.finalize());
        }
        bytes.truncate(n_bytes as usize);
        Ok(bytes)
    }

    pub(crate) fn draw_u64(&mut self) -> Result<u64> {
        let bytes = self.draw(8)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_draws_the_same_and_another_batch_draws_otherwise() {
        let mut one = VirtualClock::default();
        one.begin_batch("p", "t", 7);
        let first = one.draw(100).unwrap();
        assert_ne!(one.draw(100).unwrap(), first);
        one.begin_batch("p", "t", 7);
        assert_eq!(one.draw(100).unwrap(), first);
        one.begin_batch("p", "t", 8);
        assert_ne!(one.draw(100).unwrap(), first);
        assert!(one.draw(BYTES_MAX + 1).is_err());
    }
}
