//! The work on one value: how much is left of it, so that no event holds up its batch, and what is not to be done twice.
//!
//! Work is counted in bytes looked at: in every round, every layer of encoding and every detector. It is counted rather
//! than timed, so that a value gets the same result on every machine, natively and in the component.

use std::collections::BTreeMap;

use super::kind::{Kind, Kinds};

/// Bytes that may be looked at for each byte of a value. JSON with a JWT in it, in base64 in a form, takes 80; plain text takes
/// 5 to 30.
const BYTES_PER_BYTE: usize = 96;
/// And for a value of any length: short values may be encoded several times over.
const BYTES_MIN: usize = 32 << 10;

/// Results are kept until so many bytes of texts are.
const RESULTS_BYTES_MAX: usize = 1 << 20;
/// The memory that a result takes besides its text.
const RESULT_BYTES: usize = 128;

/// What is left of the work for a value, and results of the work so far.
#[derive(Debug)]
pub(crate) struct Work {
    total: usize,
    used: usize,
    /// What was found in decoded text. The same word comes again in every round and with every other encoding undone.
    results: BTreeMap<Vec<u8>, Vec<Searched>>,
    results_bytes: usize,
}

/// What was found in a text, for these kinds and with so many layers of base64 still decoded.
#[derive(Debug)]
pub(super) struct Searched {
    kinds: Kinds,
    layers: usize,
    pub(super) kind: Option<Kind>,
}

impl Default for Work {
    /// Without a limit: for what is looked at once, whatever its length.
    fn default() -> Self {
        Self { total: usize::MAX, used: 0, results: BTreeMap::new(), results_bytes: 0 }
    }
}

impl Work {
    /// The work that a value of so many bytes may cause.
    pub(crate) fn on(length: usize) -> Self {
        let total = length.saturating_mul(BYTES_PER_BYTE).saturating_add(BYTES_MIN);
        Self { total, ..Self::default() }
    }

    /// Counts bytes that are looked at. Work that does not read the text, such as comparing a name with a table, counts as
    /// the bytes that take as long.
    #[inline]
    pub(crate) fn charge(&mut self, n_bytes: usize) {
        self.used = self.used.saturating_add(n_bytes);
    }

    /// Whether the search must end. What it has found so far is incomplete, and the value is redacted as a whole.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used > self.total
    }

    /// What an earlier search of the same text found.
    pub(super) fn result(&self, text: &[u8], kinds: Kinds, layers: usize) -> Option<&Searched> {
        let mut searched = self.results.get(text)?.iter();
        searched.find(|other| other.kinds == kinds && other.layers == layers)
    }

    /// Keeps what a search found.
    pub(super) fn keep_result(
        &mut self,
        text: &[u8],
        kinds: Kinds,
        layers: usize,
        kind: Option<Kind>,
    ) {
        let n_bytes = text.len() + RESULT_BYTES;
        if self.results_bytes + n_bytes <= RESULTS_BYTES_MAX {
            self.results_bytes += n_bytes;
            let searched = Searched { kinds, layers, kind };
            self.results.entry(text.to_vec()).or_default().push(searched);
        }
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}
