//! The distinct values of a column, so that each is processed once per batch and not once per row.
//!
//! A batch holds few addresses and even fewer programs. Repeats are found through a small table in which one
//! value may overwrite another: the first then counts as distinct again, which costs time but changes no
//! result. So there is no worst case that an attacker who chooses the values could exploit.

use audit_plugin_sdk::Utf8Column;

/// Places in the table: four for each distinct value of an ordinary batch, 16 KiB in total.
const PLACES: usize = 1 << 12;

/// How much of a value is hashed.
const BYTES_HASHED: usize = 256;

/// The code of a null.
const NULL: u32 = u32::MAX;

/// The values of a column by codes, counted from 0.
#[derive(Debug)]
pub(crate) struct Repeats {
    codes: Vec<u32>,
    /// The first row of each code.
    rows: Vec<usize>,
}

impl Repeats {
    pub(crate) fn of(column: &Utf8Column) -> Self {
        let mut places = vec![NULL; PLACES];
        let mut rows: Vec<usize> = Vec::new();
        let code = |row: usize| {
            let Some(value) = column.get(row) else {
                return NULL;
            };
            let place = &mut places[hash(value) as usize % PLACES];
            let known = rows.get(*place as usize);
            if known.is_none_or(|&first| column.get(first) != Some(value)) {
                *place = rows.len() as u32;
                rows.push(row);
            }
            *place
        };
        let codes = (0..column.rows()).map(code).collect();
        Self { codes, rows }
    }

    /// A row for each code, with the code's value.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = usize> {
        self.rows.iter().copied()
    }

    /// The code of each row, `None` for a null.
    pub(crate) fn codes(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.codes.iter().map(|&code| (code != NULL).then_some(code as usize))
    }
}

/// Eight bytes at a time, mixed by a multiplication (the constant is the golden ratio of 64 bits).
fn hash(value: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let looked_at = &value[..value.len().min(BYTES_HASHED)];
    let (words, rest) = looked_at.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
    let hash =
        words.iter().fold(value.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let tail = rest.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte));
    // The high bits of a product depend on all of its factors.
    mix(hash, tail) >> 40
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_plugin_sdk::testing::utf8;

    #[test]
    fn equal_values_share_a_code() {
        let column = utf8(&[Some("a"), None, Some("b"), Some("a"), Some(""), Some("b"), Some("")]);
        let repeats = Repeats::of(&column);
        let codes: Vec<_> = repeats.codes().collect();
        assert_eq!(codes, [Some(0), None, Some(1), Some(0), Some(2), Some(1), Some(2)]);
        assert_eq!(repeats.rows().collect::<Vec<_>>(), [0, 2, 4]);
    }

    #[test]
    fn whatever_is_overwritten_keeps_its_value() {
        let texts: Vec<String> =
            (0..20_000).map(|n| format!("10.{}.{}.1", n % 97, n % 256)).collect();
        let column = utf8(&texts.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>());
        let repeats = Repeats::of(&column);
        let rows: Vec<usize> = repeats.rows().collect();
        for (row, code) in repeats.codes().enumerate() {
            assert_eq!(column.get(rows[code.unwrap()]), column.get(row));
        }
        let known = utf8(&vec![Some("the same"); 4096]);
        assert_eq!(Repeats::of(&known).rows().len(), 1);
    }

    #[test]
    fn values_that_differ_behind_what_is_hashed_differ() {
        let long = "x".repeat(BYTES_HASHED);
        let (a, b) = (format!("{long}a"), format!("{long}b"));
        let repeats = Repeats::of(&utf8(&[Some(&a), Some(&b), Some(&a)]));
        assert_eq!(repeats.rows().len(), 3);
    }
}
