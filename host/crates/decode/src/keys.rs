//! Finds the field of an event that a key names.

use audit_core::schema::EVENT_FIELDS;

pub(crate) const FIELD_COUNT: usize = EVENT_FIELDS.len();

/// Bytes compared at once: the longest field name and its quotes are 17.
pub(crate) const WINDOW_BYTES: usize = 24;
const WINDOW_WORDS: usize = WINDOW_BYTES / 8;

/// The slot of a field, found at compile time.
pub(crate) const fn slot_of(name: &str) -> usize {
    let mut slot = 0;
    while slot < FIELD_COUNT {
        if same(EVENT_FIELDS[slot].as_bytes(), name.as_bytes()) {
            return slot;
        }
        slot += 1;
    }
    panic!("not a field of the event")
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut idx = 0;
    while idx < left.len() {
        if left[idx] != right[idx] {
            return false;
        }
        idx += 1;
    }
    true
}

/// A key in its quotes, as words to compare.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    words: [u64; WINDOW_WORDS],
    masks: [u64; WINDOW_WORDS],
    n_bytes: usize,
}

/// Guesses the next key from the one before: a producer writes its keys in one order, so a comparison
/// of three words nearly always replaces a search. A wrong guess costs time, never correctness.
#[derive(Debug)]
pub(crate) struct Keys {
    patterns: [Pattern; FIELD_COUNT],
    /// The slot that last followed a slot; the first entry is for the start of an object.
    followers: [usize; FIELD_COUNT + 1],
}

impl Keys {
    pub(crate) fn new() -> Self {
        let patterns = EVENT_FIELDS.map(Pattern::of);
        Self { patterns, followers: std::array::from_fn(|idx| idx % FIELD_COUNT) }
    }

    /// The slot and the length in bytes of the key at the start of the window, if the guess is right.
    #[inline]
    pub(crate) fn guess(
        &self,
        before: Option<usize>,
        window: &[u8; WINDOW_BYTES],
    ) -> Option<(usize, usize)> {
        let slot = *self.followers.get(follower_idx(before))?;
        let pattern = self.patterns.get(slot)?;
        pattern.matches(window).then_some((slot, pattern.n_bytes))
    }

    /// Searches for the slot of a key, and records which key it followed.
    pub(crate) fn find(&mut self, before: Option<usize>, key: &str) -> Option<usize> {
        let slot = EVENT_FIELDS.iter().position(|name| *name == key)?;
        if let Some(follower) = self.followers.get_mut(follower_idx(before)) {
            *follower = slot;
        }
        Some(slot)
    }
}

fn follower_idx(before: Option<usize>) -> usize {
    before.map_or(0, |slot| slot + 1)
}

impl Pattern {
    fn of(name: &str) -> Self {
        let quoted = format!("\"{name}\"");
        let byte = |idx: usize| quoted.as_bytes().get(idx).copied();
        let words = std::array::from_fn(|word| {
            u64::from_le_bytes(std::array::from_fn(|idx| byte(word * 8 + idx).unwrap_or(0)))
        });
        let masks = std::array::from_fn(|word| {
            let mask = |idx: usize| byte(word * 8 + idx).map_or(0, |_| 0xFF);
            u64::from_le_bytes(std::array::from_fn(mask))
        });
        Self { words, masks, n_bytes: quoted.len() }
    }

    #[inline]
    fn matches(&self, window: &[u8; WINDOW_BYTES]) -> bool {
        let (chunks, _) = window.as_chunks::<8>();
        let mut difference = 0;
        for ((chunk, word), mask) in chunks.iter().zip(&self.words).zip(&self.masks) {
            difference |= (u64::from_le_bytes(*chunk) ^ word) & mask;
        }
        difference == 0
    }
}

// A name that does not fit the window would match on its beginning alone.
const _: () = {
    let mut slot = 0;
    while slot < FIELD_COUNT {
        assert!(EVENT_FIELDS[slot].len() + 2 <= WINDOW_BYTES, "widen WINDOW_BYTES");
        slot += 1;
    }
};
